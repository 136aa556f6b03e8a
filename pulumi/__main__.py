"""An environment's hosts and services, from inventories/<stack>/stack.yml to one output."""

import pulumi

from stackwright.infra import program
from stackwright.model.output import OUTPUT_NAME

environment = program.load_environment(pulumi.get_stack())
platform = program.platform(environment)

network = platform.network
compute = platform.compute
load_balancer = platform.load_balancer
database = platform.database
cache = platform.cache
object_store = platform.object_store
watch = platform.watch

output = program.inventory_output(
    environment,
    network=network,
    compute=compute,
    services=(load_balancer, database, cache, object_store),
    cloud=platform.cloud,
)
pulumi.export(OUTPUT_NAME, output)
