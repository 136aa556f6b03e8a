"""The Pulumi provider `stackwright`: hosts outside of a cloud, managed like any other resource.

Three layers, so that the experimental part of Pulumi's SDK stays in one file:
`backend` defines kinds of resources, `values` converts property values, `adapter` implements Pulumi's protocol.
"""
