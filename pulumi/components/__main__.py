"""The components for AWS, for programs in other languages; started by Pulumi, not by hand."""

from stackwright.infra.aws.package import serve

if __name__ == "__main__":
    serve()
