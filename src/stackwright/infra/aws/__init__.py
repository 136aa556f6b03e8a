"""The provider `aws`: components that a program of one's own can use one by one, and the platform made of them."""
