"""The Pulumi provider `stackwright`: hosts that no cloud makes, managed like any other resource.

Three layers, so that the experimental part of Pulumi's SDK stays in one file:
`backend` says what a kind of resource is, `values` translates what travels, `adapter` speaks Pulumi's protocol.
"""
