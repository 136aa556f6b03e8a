"""Inputs and calls of the edge: load balancers, certificates, DNS, web firewall, CDN."""

from __future__ import annotations

from collections.abc import Mapping

from stackwright.testing.aws_models.convert import SWITCH, Call, NotSent, Spread, Target, between, one_of, text

Fields = Mapping[str, Target]
_PROVIDER = NotSent(reason="tells the provider what to do")
_LATER = NotSent(reason="another call, after the resource exists")
_LOGS = NotSent(reason="attributes of the load balancer: names of a bucket and a prefix")
_FROM_PROVIDER = "stackwright"

#: The API takes attributes of load balancers and target groups as pairs of strings; their limits are in its
#: documentation (API reference, LoadBalancerAttribute and TargetGroupAttribute; as remembered in 2026-11).
_LOAD_BALANCER: Fields = {
    "internal": NotSent(reason="the word of Scheme"),
    "loadBalancerType": "Type",
    "accessLogs": _LOGS,
    "connectionLogs": _LOGS,
    "healthCheckLogs": _LOGS,
    "clientKeepAlive": between(60, 604800),
    "idleTimeout": between(1, 4000),
    "desyncMitigationMode": one_of("monitor", "defensive", "strictest"),
    "dnsRecordClientRoutingPolicy": one_of(
        "any_availability_zone", "availability_zone_affinity", "partial_availability_zone_affinity"
    ),
    "dropInvalidHeaderFields": SWITCH,
    "enableCrossZoneLoadBalancing": SWITCH,
    "enableDeletionProtection": SWITCH,
    "enableHttp2": SWITCH,
    "enableTlsVersionAndCipherSuiteHeaders": SWITCH,
    "enableWafFailOpen": SWITCH,
    "enableXffClientPort": SWITCH,
    "enableZonalShift": SWITCH,
    "enforceSecurityGroupInboundRulesOnPrivateLinkTraffic": one_of("on", "off"),
    "enablePrefixForIpv6SourceNat": one_of("on", "off"),
    "minimumLoadBalancerCapacity": _LATER,
    "preserveHostHeader": SWITCH,
    "secondaryIpsAutoAssignedPerSubnet": between(0, 7),
    "xffHeaderProcessingMode": one_of("append", "preserve", "remove"),
}
_TARGETS: Fields = {
    "connectionTermination": SWITCH,
    "deregistrationDelay": between(0, 3600),
    "healthCheck": Spread(
        fields={
            "enabled": "HealthCheckEnabled",
            "healthyThreshold": "HealthyThresholdCount",
            "interval": "HealthCheckIntervalSeconds",
            "matcher": "Matcher.HttpCode",
            "path": "HealthCheckPath",
            "port": "HealthCheckPort",
            "protocol": "HealthCheckProtocol",
            "timeout": "HealthCheckTimeoutSeconds",
            "unhealthyThreshold": "UnhealthyThresholdCount",
        }
    ),
    "lambdaMultiValueHeadersEnabled": SWITCH,
    "loadBalancingAlgorithmType": one_of("round_robin", "least_outstanding_requests", "weighted_random"),
    "loadBalancingAnomalyMitigation": one_of("on", "off"),
    "loadBalancingCrossZoneEnabled": one_of("true", "false", "use_load_balancer_configuration"),
    "preserveClientIp": SWITCH,
    "proxyProtocolV2": SWITCH,
    "slowStart": between(0, 900),
    "stickiness": NotSent(reason="attributes of the target group; CloudFront's and ALB's limits are in `Stickiness`"),
    "targetFailovers": _LATER,
    "targetGroupHealth": _LATER,
    "targetHealthStates": _LATER,
}
_LISTENER: Fields = {
    "alpnPolicy": "AlpnPolicy",
    "certificateArn": "Certificates[].CertificateArn",
    "tcpIdleTimeoutSeconds": between(60, 6000),
    "routingHttpResponseServerEnabled": SWITCH,
    # Names and values of headers are attributes of the listener.
    **dict.fromkeys(
        (
            *(
                f"routingHttpRequestXAmzn{header}HeaderName"
                for header in (
                    "MtlsClientcert",
                    "MtlsClientcertIssuer",
                    "MtlsClientcertLeaf",
                    "MtlsClientcertSerialNumber",
                    "MtlsClientcertSubject",
                    "MtlsClientcertValidity",
                    "TlsCipherSuite",
                    "TlsVersion",
                )
            ),
            *(
                f"routingHttpResponse{header}HeaderValue"
                for header in (
                    "AccessControlAllowCredentials",
                    "AccessControlAllowHeaders",
                    "AccessControlAllowMethods",
                    "AccessControlAllowOrigin",
                    "AccessControlExposeHeaders",
                    "AccessControlMaxAge",
                    "ContentSecurityPolicy",
                    "StrictTransportSecurity",
                    "XContentTypeOptions",
                    "XFrameOptions",
                )
            ),
        ),
        text(r"[\x20-\x7e]*", limit=1024),
    ),
}

CALLS: Mapping[str, Call] = {
    "lb/loadBalancer": Call(service="elbv2", operation="CreateLoadBalancer", fields=_LOAD_BALANCER),
    "lb/targetGroup": Call(service="elbv2", operation="CreateTargetGroup", fields=_TARGETS),
    "lb/listener": Call(service="elbv2", operation="CreateListener", fields=_LISTENER),
    "lb/listenerRule": Call(service="elbv2", operation="CreateRule"),
    "lb/listenerCertificate": Call(
        service="elbv2", operation="AddListenerCertificates", fields={"certificateArn": "Certificates[].CertificateArn"}
    ),
    "lb/targetGroupAttachment": Call(
        service="elbv2",
        operation="RegisterTargets",
        fields={
            "targetId": "Targets[].Id",
            "port": "Targets[].Port",
            "availabilityZone": "Targets[].AvailabilityZone",
            "quicServerId": "Targets[].QuicServerId",
        },
    ),
    "acm/certificate": Call(
        service="acm",
        operation="RequestCertificate",
        fields={
            "validationOptions": "DomainValidationOptions",
            "privateKey": _PROVIDER,
            "certificateBody": _PROVIDER,
            "certificateChain": _PROVIDER,
            "earlyRenewalDuration": _PROVIDER,
            "privateKeyWo": _PROVIDER,
            "privateKeyWoVersion": _PROVIDER,
        },
    ),
    "acm/certificateValidation": Call(service="acm", operation="DescribeCertificate", no_call="waits for ACM"),
    "route53/zone": Call(
        service="route53",
        operation="CreateHostedZone",
        fields={
            "comment": "HostedZoneConfig.Comment",
            "vpcs": "VPC",
            "delegationSetId": "DelegationSetId",
            "enableAcceleratedRecovery": _LATER,
            "tags": _LATER,
        },
        constants={"CallerReference": _FROM_PROVIDER},
    ),
    "route53/record": Call(
        service="route53",
        operation="ChangeResourceRecordSets",
        fields={
            "zoneId": "HostedZoneId",
            "records": "ChangeBatch.Changes[].ResourceRecordSet.ResourceRecords",
            "aliases": "ChangeBatch.Changes[].ResourceRecordSet.AliasTarget",
            "name": "ChangeBatch.Changes[].ResourceRecordSet.Name",
            "multivalueAnswerRoutingPolicy": "ChangeBatch.Changes[].ResourceRecordSet.MultiValueAnswer",
            "failoverRoutingPolicies": Spread(fields={"type": "ChangeBatch.Changes[].ResourceRecordSet.Failover"}),
            "latencyRoutingPolicies": Spread(fields={"region": "ChangeBatch.Changes[].ResourceRecordSet.Region"}),
            "weightedRoutingPolicies": Spread(fields={"weight": "ChangeBatch.Changes[].ResourceRecordSet.Weight"}),
            "geolocationRoutingPolicies": "ChangeBatch.Changes[].ResourceRecordSet.GeoLocation",
            "geoproximityRoutingPolicy": "ChangeBatch.Changes[].ResourceRecordSet.GeoProximityLocation",
            "cidrRoutingPolicy": "ChangeBatch.Changes[].ResourceRecordSet.CidrRoutingConfig",
            "allowOverwrite": _PROVIDER,
        },
        root="ChangeBatch.Changes[].ResourceRecordSet",
        constants={"ChangeBatch.Changes[].Action": "CREATE"},
    ),
    "route53/healthCheck": Call(
        service="route53",
        operation="CreateHealthCheck",
        fields={
            "cloudwatchAlarmName": "HealthCheckConfig.AlarmIdentifier.Name",
            "cloudwatchAlarmRegion": "HealthCheckConfig.AlarmIdentifier.Region",
            "childHealthchecks": "HealthCheckConfig.ChildHealthChecks",
            "childHealthThreshold": "HealthCheckConfig.HealthThreshold",
            "invertHealthcheck": "HealthCheckConfig.Inverted",
            "fqdn": "HealthCheckConfig.FullyQualifiedDomainName",
            "referenceName": _PROVIDER,
            "tags": _LATER,
            "triggers": _PROVIDER,
        },
        root="HealthCheckConfig",
        constants={"CallerReference": _FROM_PROVIDER},
    ),
    "route53/zoneAssociation": Call(
        service="route53",
        operation="AssociateVPCWithHostedZone",
        fields={"zoneId": "HostedZoneId", "vpcId": "VPC.VPCId", "vpcRegion": "VPC.VPCRegion"},
    ),
    "wafv2/webAcl": Call(
        service="wafv2",
        operation="CreateWebACL",
        fields={
            "associationConfig": NotSent(reason="a list here, a map by the type of the resource there"),
            "ruleJson": NotSent(reason="the rules as JSON: of the API's own grammar"),
        },
    ),
    "wafv2/ipSet": Call(service="wafv2", operation="CreateIPSet"),
    "wafv2/regexPatternSet": Call(
        service="wafv2", operation="CreateRegexPatternSet", fields={"regularExpressions": "RegularExpressionList"}
    ),
    "wafv2/webAclAssociation": Call(service="wafv2", operation="AssociateWebACL", fields={"webAclArn": "WebACLArn"}),
    "wafv2/webAclLoggingConfiguration": Call(
        service="wafv2", operation="PutLoggingConfiguration", root="LoggingConfiguration"
    ),
    "cloudfront/distribution": Call(
        service="cloudfront",
        operation="CreateDistributionWithTags",
        fields={
            "orderedCacheBehaviors": "DistributionConfigWithTags.DistributionConfig.CacheBehaviors",
            "customErrorResponses": "DistributionConfigWithTags.DistributionConfig.CustomErrorResponses",
            "loggingConfig": "DistributionConfigWithTags.DistributionConfig.Logging",
            "originGroups": "DistributionConfigWithTags.DistributionConfig.OriginGroups",
            "tags": "DistributionConfigWithTags.Tags.Items",
            "retainOnDelete": _PROVIDER,
            "waitForDeployment": _PROVIDER,
        },
        root="DistributionConfigWithTags.DistributionConfig",
        constants={
            "DistributionConfigWithTags.DistributionConfig.CallerReference": _FROM_PROVIDER,
            "DistributionConfigWithTags.DistributionConfig.Comment": "",
            "DistributionConfigWithTags.Tags.Items": [],
        },
    ),
    "cloudfront/cachePolicy": Call(
        service="cloudfront",
        operation="CreateCachePolicy",
        root="CachePolicyConfig",
        fields={"minTtl": "CachePolicyConfig.MinTTL"},
        constants={"CachePolicyConfig.MinTTL": 0},
    ),
    "cloudfront/originRequestPolicy": Call(
        service="cloudfront", operation="CreateOriginRequestPolicy", root="OriginRequestPolicyConfig"
    ),
    "cloudfront/responseHeadersPolicy": Call(
        service="cloudfront", operation="CreateResponseHeadersPolicy", root="ResponseHeadersPolicyConfig"
    ),
    "cloudfront/originAccessControl": Call(
        service="cloudfront",
        operation="CreateOriginAccessControl",
        root="OriginAccessControlConfig",
        fields={"originAccessControlOriginType": "OriginAccessControlConfig.OriginAccessControlOriginType"},
    ),
    "cloudfront/vpcOrigin": Call(
        service="cloudfront",
        operation="CreateVpcOrigin",
        fields={"tags": "Tags.Items"},
        constants={},
    ),
    "cloudfront/function": Call(
        service="cloudfront",
        operation="CreateFunction",
        fields={
            "code": "FunctionCode",
            "comment": "FunctionConfig.Comment",
            "runtime": "FunctionConfig.Runtime",
            "keyValueStoreAssociations": "FunctionConfig.KeyValueStoreAssociations",
            "publish": _PROVIDER,
        },
        constants={"FunctionConfig.Comment": ""},
    ),
    "cloudfront/monitoringSubscription": Call(service="cloudfront", operation="CreateMonitoringSubscription"),
}

NESTED: Mapping[str, Fields] = {
    "VPC": {"vpcId": "VPCId", "vpcRegion": "VPCRegion"},
    "AliasTarget": {"name": "DNSName", "zoneId": "HostedZoneId"},
    "Origin": {"originId": "Id"},
    "OriginCustomHeader": {"name": "HeaderName", "value": "HeaderValue"},
    "CustomOriginConfig": {"originReadTimeout": "OriginReadTimeout", "originSslProtocols": "OriginSslProtocols"},
    "ViewerCertificate": {"cloudfrontDefaultCertificate": "CloudFrontDefaultCertificate"},
    "DefaultCacheBehavior": {"cachedMethods": "AllowedMethods.CachedMethods", "allowedMethods": "AllowedMethods.Items"},
    "CacheBehavior": {"cachedMethods": "AllowedMethods.CachedMethods", "allowedMethods": "AllowedMethods.Items"},
    "Action": {
        "authenticateCognito": "AuthenticateCognitoConfig",
        "authenticateOidc": "AuthenticateOidcConfig",
        "fixedResponse": "FixedResponseConfig",
        "forward": "ForwardConfig",
        "jwtValidation": "JwtValidationConfig",
        "redirect": "RedirectConfig",
    },
    "ForwardActionConfig": {"stickiness": "TargetGroupStickinessConfig"},
    "TargetGroupStickinessConfig": {"duration": "DurationSeconds"},
    "TargetGroupTuple": {"arn": "TargetGroupArn"},
    "RuleCondition": {
        "hostHeader": "HostHeaderConfig",
        "httpHeader": "HttpHeaderConfig",
        "httpRequestMethod": "HttpRequestMethodConfig",
        "pathPattern": "PathPatternConfig",
        "queryStrings": "QueryStringConfig.Values",
        "sourceIp": "SourceIpConfig",
    },
    "GeoLocation": {"continent": "ContinentCode", "country": "CountryCode", "subdivision": "SubdivisionCode"},
    "LambdaFunctionAssociation": {"lambdaArn": "LambdaFunctionARN"},
    "OriginGroup": {"originId": "Id"},
    "FieldToMatch": {"headerOrders": "HeaderOrder"},
    "SubnetMapping": {"outpostId": _PROVIDER},
    "GeoRestriction": {"locations": "Items"},
}
