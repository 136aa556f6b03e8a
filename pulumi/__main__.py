"""An environment's hosts and services, from inventories/<stack>/stack.yml to one output."""

import pulumi

from stackwright.infra import program
from stackwright.model.output import OUTPUT_NAME

environment = program.load_environment(pulumi.get_stack())
platform = program.platform(environment)
keys = program.key_pair(environment)

network = platform.network(environment)
compute = platform.compute(environment, network, keys)
load_balancer = platform.load_balancer(environment, compute)
database = platform.database(environment, compute)
cache = platform.cache(environment, compute)
object_store = platform.object_store(environment, compute)

output = program.inventory_output(
    environment,
    network=network,
    compute=compute,
    services=(load_balancer, database, cache, object_store),
)
pulumi.export(OUTPUT_NAME, output)
