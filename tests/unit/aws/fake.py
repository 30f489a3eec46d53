"""SageMaker in memory, as far as endpoints go: states, refusals and messages as AWS has them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

from sageturner_magic.aws.session import AwsSession

PREFIX = "arn:aws:sagemaker:eu-west-1:123456789012:"
NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)


class Refused(Exception):
    def __init__(self, message: str, code: str = "ValidationException") -> None:
        super().__init__(message)
        self.code, self.message = code, message


class FakeSageMaker:
    """Answers the clients of `session` for sagemaker and application-autoscaling.

    Attributes:
        models, configs, endpoints: Name -> request or state.
        tags: ARN -> tags.
        calls: Names of the operations, in order.
        ticks: DescribeEndpoint's answers until an endpoint settles.
        fails: Names of configs that do not start.
        refuse: Operation -> messages of refusals to give before it works.
        late_tags: So many times no tags are shown.
    """

    def __init__(self, session: AwsSession) -> None:
        self.models: dict[str, Any] = {}
        self.configs: dict[str, Any] = {}
        self.endpoints: dict[str, Any] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.targets: dict[str, Any] = {}
        self.calls: list[str] = []
        self.ticks = 2
        self.fails: set[str] = set()
        self.refuse: dict[str, list[str]] = {}
        self.late_tags = 0
        for client in (session.sagemaker, session.autoscaling, session.logs):
            client.meta.events.register("before-parameter-build", self._remember)
            client.meta.events.register("before-call", self._answer)

    def _remember(self, params: Any, model: Any, context: Any, **_: Any) -> None:
        context["asked"] = params

    def _answer(self, model: Any, context: Any, **_: Any) -> tuple[Any, Any]:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", model.name).lower()
        self.calls.append(model.name)
        try:
            if messages := self.refuse.get(model.name):
                raise Refused(messages.pop(0))
            answer = getattr(self, name)(**context["asked"]) or {}
            return SimpleNamespace(status_code=200), answer
        except Refused as refusal:
            error = {"Code": refusal.code, "Message": refusal.message}
            return SimpleNamespace(status_code=400), {"Error": error, "ResponseMetadata": {}}

    # Models and configs

    def create_model(self, ModelName: str, Tags: Any, **request: Any) -> Any:
        return self._make(self.models, "model", ModelName, Tags, request)

    def create_endpoint_config(self, EndpointConfigName: str, Tags: Any, **request: Any) -> Any:
        name = EndpointConfigName
        return self._make(self.configs, "endpoint configuration", name, Tags, request)

    def _make(self, there: dict[str, Any], kind: str, name: str, tags: Any, request: Any) -> Any:
        arn = PREFIX + kind.replace(" configuration", "-config") + f"/{name}"
        if name in there:
            raise Refused(f'Cannot create already existing {kind} "{arn}".')
        order = datetime.fromtimestamp(NOW.timestamp() + len(there), timezone.utc)
        there[name] = {**request, "arn": arn, "CreationTime": order}
        self.tags[arn] = {tag["Key"]: tag["Value"] for tag in tags}

    def describe_model(self, ModelName: str) -> Any:
        found = self._get(self.models, "model", ModelName)
        return {**found, "ModelName": ModelName, "ModelArn": found["arn"]}

    def describe_endpoint_config(self, EndpointConfigName: str) -> Any:
        found = self._get(self.configs, "endpoint configuration", EndpointConfigName)
        name = EndpointConfigName
        return {**found, "EndpointConfigName": name, "EndpointConfigArn": found["arn"]}

    def list_models(self, NameContains: str = "") -> Any:
        found = [n for n in self.models if NameContains in n]
        return {"Models": [{"ModelName": n, "ModelArn": self.models[n]["arn"]} for n in found]}

    def list_endpoint_configs(self, NameContains: str = "") -> Any:
        found = {n: c for n, c in self.configs.items() if NameContains in n}
        return {
            "EndpointConfigs": [
                {"EndpointConfigName": n, "EndpointConfigArn": c["arn"]} for n, c in found.items()
            ]
        }

    def delete_model(self, ModelName: str) -> Any:
        self._get(self.models, "model", ModelName)
        del self.models[ModelName]

    def delete_endpoint_config(self, EndpointConfigName: str) -> Any:
        self._get(self.configs, "endpoint configuration", EndpointConfigName)
        del self.configs[EndpointConfigName]

    # Endpoints

    def create_endpoint(self, EndpointName: str, EndpointConfigName: str, Tags: Any) -> Any:
        self._get(self.configs, "endpoint configuration", EndpointConfigName)
        arn = f"{PREFIX}endpoint/{EndpointName}"
        if EndpointName in self.endpoints:
            raise Refused(f'Cannot create already existing endpoint "{arn}".')
        self.tags[arn] = {tag["Key"]: tag["Value"] for tag in Tags}
        self.endpoints[EndpointName] = {
            "EndpointName": EndpointName,
            "EndpointArn": arn,
            "EndpointConfigName": EndpointConfigName,
            "EndpointStatus": "Creating",
            "CreationTime": NOW,
            "LastModifiedTime": NOW,
            "left": self.ticks,
        }
        return {"EndpointArn": arn}

    def update_endpoint(self, EndpointName: str, EndpointConfigName: str, **request: Any) -> Any:
        endpoint = self._endpoint(EndpointName)
        if endpoint["EndpointStatus"] != "InService":
            raise Refused(f'Cannot update in-progress endpoint "{endpoint["EndpointArn"]}".')
        self._get(self.configs, "endpoint configuration", EndpointConfigName)
        pending = {"EndpointConfigName": EndpointConfigName}
        endpoint.pop("FailureReason", None)
        endpoint.update(
            EndpointStatus="Updating",
            PendingDeploymentSummary=pending,
            request=request,
            left=self.ticks,
        )
        return {"EndpointArn": endpoint["EndpointArn"]}

    def delete_endpoint(self, EndpointName: str) -> Any:
        endpoint = self._endpoint(EndpointName)
        if endpoint["EndpointStatus"] in ("Creating", "Updating"):
            raise Refused(f'Cannot delete in-progress endpoint "{endpoint["EndpointArn"]}".')
        endpoint.update(EndpointStatus="Deleting", left=self.ticks)

    def describe_endpoint(self, EndpointName: str) -> Any:
        endpoint = self._endpoint(EndpointName)
        if endpoint["EndpointStatus"] in ("Creating", "Updating", "Deleting"):
            endpoint["left"] -= 1
            if endpoint["left"] < 0:
                self._settle(EndpointName, endpoint)
                endpoint = self._endpoint(EndpointName)
        return {k: v for k, v in endpoint.items() if k not in ("left", "request")}

    def _settle(self, name: str, endpoint: dict[str, Any]) -> None:
        if endpoint["EndpointStatus"] == "Deleting":
            del self.endpoints[name]
            return
        pending = endpoint.pop("PendingDeploymentSummary", None)
        config = pending["EndpointConfigName"] if pending else endpoint["EndpointConfigName"]
        if config in self.fails:
            endpoint["FailureReason"] = "The container did not pass the ping health check."
            endpoint["EndpointStatus"] = "InService" if pending else "Failed"
        else:
            endpoint.update(EndpointStatus="InService", EndpointConfigName=config)

    def update_endpoint_weights_and_capacities(
        self, EndpointName: str, DesiredWeightsAndCapacities: Any
    ) -> Any:
        wanted = {w["VariantName"]: w["DesiredInstanceCount"] for w in DesiredWeightsAndCapacities}
        for variant in self._endpoint(EndpointName)["ProductionVariants"]:
            count = wanted[variant["VariantName"]]
            variant.update(CurrentInstanceCount=count, DesiredInstanceCount=count)

    def list_endpoints(self) -> Any:
        names = ("EndpointName", "EndpointArn", "EndpointStatus", "CreationTime")
        return {"Endpoints": [{k: e[k] for k in names} for e in self.endpoints.values()]}

    # Tags, autoscaling and logs

    def list_tags(self, ResourceArn: str) -> Any:
        self.late_tags, late = max(0, self.late_tags - 1), self.late_tags > 0
        tags = {} if late else self.tags.get(ResourceArn, {})
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def add_tags(self, ResourceArn: str, Tags: Any) -> Any:
        self.tags[ResourceArn].update({tag["Key"]: tag["Value"] for tag in Tags})

    def register_scalable_target(self, ResourceId: str, **request: Any) -> Any:
        self.targets[ResourceId] = {"ResourceId": ResourceId, **request}

    def put_scaling_policy(self, ResourceId: str, **request: Any) -> Any:
        self.targets[ResourceId]["policy"] = request

    def describe_scalable_targets(self, ResourceIds: Any, **_: Any) -> Any:
        return {"ScalableTargets": [self.targets[r] for r in ResourceIds if r in self.targets]}

    def describe_scaling_policies(self, ResourceId: str, **_: Any) -> Any:
        target = self.targets.get(ResourceId, {})
        return {"ScalingPolicies": [target["policy"]] if "policy" in target else []}

    def deregister_scalable_target(self, ResourceId: str, **_: Any) -> Any:
        if ResourceId not in self.targets:
            raise Refused("No scalable target found", "ObjectNotFoundException")
        del self.targets[ResourceId]

    def tag_resource(self, **_: Any) -> Any:
        raise Refused("The specified log group does not exist.", "ResourceNotFoundException")

    def describe_log_streams(self, **_: Any) -> Any:
        created = int(NOW.timestamp() * 1000) + 5
        return {"logStreams": [{"logStreamName": "AllTraffic/i-1", "creationTime": created}]}

    def get_log_events(self, **_: Any) -> Any:
        line = "ModuleNotFoundError: No module named 'xgboost'"
        when = int(NOW.timestamp() * 1000) + 5
        return {"events": [{"timestamp": when, "message": line}], "nextBackwardToken": "b"}

    def _endpoint(self, name: str) -> dict[str, Any]:
        if name not in self.endpoints:
            raise Refused(f'Could not find endpoint "{PREFIX}endpoint/{name}".')
        return self.endpoints[name]  # type: ignore[no-any-return]

    def _get(self, there: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
        if name not in there:
            raise Refused(f'Could not find {kind} "{PREFIX}{name}".')
        return there[name]  # type: ignore[no-any-return]


class Clock:
    """Time that passes only by waiting."""

    def __init__(self, at_pause: Callable[[float], None] = lambda now: None) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self._at_pause = at_pause

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        self._at_pause(self.now)

    def time(self) -> float:
        return self.now
