"""SageMaker's control plane: models, endpoint configurations, endpoints, tags."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.stand.ecr import Ecr
from tests.stand.faults import Faults
from tests.stand.iam import Iam
from tests.stand.quotas import Quotas
from tests.stand.sagemaker import artefacts, images, views
from tests.stand.sagemaker.listing import select
from tests.stand.sagemaker.store import Endpoint, Kind, Record, Store
from tests.stand.sagemaker.transitions import Transitions
from tests.stand.sagemaker.validation import (
    check_environment,
    check_variants,
    invalid,
    validate,
)
from tests.stand.wire import Answer, AwsFault, Call, json_answer

Params = dict[str, Any]
Result = dict[str, Any]

TITLES: dict[Kind, str] = {
    "model": "model",
    "endpoint-config": "endpoint configuration",
    "endpoint": "endpoint",
}

_GONE = ("Failed", "Deleting")
"""Endpoints in these states use nothing any more."""


@dataclass(frozen=True)
class Order:
    """A change of an endpoint that SageMaker has taken. Config: empty for DeleteEndpoint."""

    region: str
    operation: str
    endpoint: str
    config: str


class SageMaker:
    """One stand's SageMaker, in every region."""

    def __init__(
        self, transitions: Transitions, quotas: Quotas, ecr: Ecr, iam: Iam, faults: Faults
    ) -> None:
        self._stores: dict[str, Store] = {}
        self._transitions = transitions
        self._quotas = quotas
        self._ecr = ecr
        self._iam = iam
        self._faults = faults
        self.orders: list[Order] = []

    def store(self, region: str) -> Store:
        return self._stores.setdefault(region, Store(region))

    def handle(self, call: Call) -> Answer:
        """The answer to a call. Raises AwsFault."""
        operation = getattr(self, f"_{_snake(call.operation)}", None)
        if operation is None:
            raise AwsFault("UnknownOperationException", f"{call.operation} is not supported here")
        validate(call.operation, call.params)
        store = self.store(call.region)
        with store.lock:
            answer = json_answer(operation(store, call.params))
            if call.operation in ("CreateEndpoint", "UpdateEndpoint", "DeleteEndpoint"):
                config = call.params.get("EndpointConfigName", "")
                name = call.params["EndpointName"]
                self.orders.append(Order(call.region, call.operation, name, config))
            return answer

    def _create_model(self, store: Store, params: Params) -> Result:
        name = params["ModelName"]
        self._refuse_existing(store, "model", name, name in store.models)
        if "PrimaryContainer" in params and "Containers" in params:
            raise invalid("PrimaryContainer and Containers cannot both be specified.")
        container = images.primary_container(params)
        if "ExecutionRoleArn" not in params:
            raise invalid("ExecutionRoleArn must be specified.")
        if "ModelDataUrl" in container and "ModelDataSource" in container:
            raise invalid("ModelDataUrl and ModelDataSource cannot both be specified.")
        check_environment(container.get("Environment", {}))
        role = self._iam.assume_for_sagemaker(params["ExecutionRoleArn"], store.region)
        images.resolve(container["Image"], store.region, role, self._ecr, self._iam)
        if data := artefacts.source(container):
            uri, compression = data
            if compression == "None" and not uri.endswith("/"):
                raise invalid(f"S3Uri {uri} of an S3Prefix must end with a forward slash.")
            if compression == artefacts.TAR_GZ and not uri.endswith(".tar.gz"):
                raise invalid(f"Model data {uri} must be a tar.gz archive.")
            try:
                artefacts.check(uri, compression, role, self._iam, store.region)
            except artefacts.NoArtefact as error:
                raise invalid(str(error)) from None
        record = store.models[name] = Record(name, store.arn("model", name), params)
        store.tag(record.arn, params.get("Tags", []))
        return {"ModelArn": record.arn}

    def _describe_model(self, store: Store, params: Params) -> Result:
        return views.record("Model", self._find(store, "model", params["ModelName"]))

    def _delete_model(self, store: Store, params: Params) -> Result:
        record = self._find(store, "model", params["ModelName"])
        using = [item.name for item in self._live_configs(store) if record.name in _models(item)]
        if using:
            raise invalid(
                f'Cannot delete model "{record.arn}" because endpoints that are live or being '
                f"deployed use it: {', '.join(using)}."
            )
        del store.models[record.name]
        store.tags.pop(record.arn, None)
        return {}

    def _list_models(self, store: Store, params: Params) -> Result:
        found, token = select([*store.models.values()], params, "Descending")
        return _page("Models", [views.summary("Model", item) for item in found], token)

    def _create_endpoint_config(self, store: Store, params: Params) -> Result:
        name = params["EndpointConfigName"]
        self._refuse_existing(store, "endpoint-config", name, name in store.configs)
        variants = params["ProductionVariants"]
        check_variants(variants, params)
        for variant in variants:
            model = self._find(store, "model", variant["ModelName"])
            if "ServerlessConfig" in variant:
                _check_serverless_model(model.request)
        record = Record(name, store.arn("endpoint-config", name), params)
        store.configs[name] = record
        store.tag(record.arn, params.get("Tags", []))
        return {"EndpointConfigArn": record.arn}

    def _describe_endpoint_config(self, store: Store, params: Params) -> Result:
        found = self._find(store, "endpoint-config", params["EndpointConfigName"])
        return views.record("EndpointConfig", found)

    def _delete_endpoint_config(self, store: Store, params: Params) -> Result:
        # Also of an endpoint that is live: AWS advises against it, and the SDK's
        # `Predictor.delete_endpoint()` does it.
        record = self._find(store, "endpoint-config", params["EndpointConfigName"])
        del store.configs[record.name]
        store.tags.pop(record.arn, None)
        return {}

    def _list_endpoint_configs(self, store: Store, params: Params) -> Result:
        found, token = select([*store.configs.values()], params, "Descending")
        summaries = [views.summary("EndpointConfig", item) for item in found]
        return _page("EndpointConfigs", summaries, token)

    def _create_endpoint(self, store: Store, params: Params) -> Result:
        name = params["EndpointName"]
        self._refuse_existing(store, "endpoint", name, name in store.endpoints)
        config = self._deployable(store, params["EndpointConfigName"])
        self._quotas.check(config.request["ProductionVariants"], self._in_use(store))
        endpoint = Endpoint(name, store.arn("endpoint", name), config.name, params, store.region)
        store.endpoints[name] = endpoint
        store.tag(endpoint.arn, params.get("Tags", []))
        self._transitions.create(store, endpoint)
        return {"EndpointArn": endpoint.arn}

    def _update_endpoint(self, store: Store, params: Params) -> Result:
        endpoint = self._find_endpoint(store, params["EndpointName"])
        config = self._deployable(store, params["EndpointConfigName"])
        if endpoint.status == "Failed":
            raise invalid(f'Cannot update endpoint "{endpoint.arn}" with status "Failed".')
        _refuse_in_progress(endpoint)
        old = _running(store, endpoint)
        new = config.request["ProductionVariants"]
        missing = {item["VariantName"] for item in old} - {item["VariantName"] for item in new}
        if missing:
            raise invalid(
                f"The variant name(s) {sorted(missing)} of the live endpoint must be present in "
                f'endpoint configuration "{config.arn}".'
            )
        if "ServerlessConfig" in new[0] and "ServerlessConfig" not in old[0]:
            raise invalid(
                f'Cannot update endpoint "{endpoint.arn}": an instance-based endpoint cannot '
                "become serverless."
            )
        self._quotas.check(new, self._in_use(store))
        endpoint.pending = config.name
        endpoint.pending_status = "Creating"
        endpoint.pending_since = time.time()
        endpoint.become("Updating", "")
        self._transitions.update(store, endpoint, params.get("DeploymentConfig", {}))
        return {"EndpointArn": endpoint.arn}

    def _update_endpoint_weights_and_capacities(self, store: Store, params: Params) -> Result:
        endpoint = self._find_endpoint(store, params["EndpointName"])
        _refuse_in_progress(endpoint)
        counts: dict[str, int] = {}
        for wanted in params["DesiredWeightsAndCapacities"]:
            name = wanted["VariantName"]
            if name not in [variant.settings["VariantName"] for variant in endpoint.variants]:
                raise invalid(f'Could not find variant "{name}" of endpoint "{endpoint.arn}".')
            if "DesiredWeight" in wanted:
                endpoint.weights[name] = wanted["DesiredWeight"]
            if "DesiredInstanceCount" in wanted:
                counts[name] = wanted["DesiredInstanceCount"]
        endpoint.become("Updating")
        self._transitions.scale(store, endpoint, counts)
        return {"EndpointArn": endpoint.arn}

    def _describe_endpoint(self, store: Store, params: Params) -> Result:
        return views.endpoint(self._find_endpoint(store, params["EndpointName"]), store)

    def _delete_endpoint(self, store: Store, params: Params) -> Result:
        endpoint = self._find_endpoint(store, params["EndpointName"])
        _refuse_in_progress(endpoint)
        endpoint.become("Deleting")
        self._transitions.delete(store, endpoint)
        return {}

    def _list_endpoints(self, store: Store, params: Params) -> Result:
        found, token = select([*store.endpoints.values()], params, "Descending")
        return _page("Endpoints", [views.endpoint_summary(item) for item in found], token)

    def _add_tags(self, store: Store, params: Params) -> Result:
        arn = self._taggable(store, params)
        store.tag(arn, params["Tags"])
        return {"Tags": views.tags(store.tags_of(arn))}

    def _delete_tags(self, store: Store, params: Params) -> Result:
        arn = self._taggable(store, params)
        for key in params["TagKeys"]:
            store.tags.get(arn, {}).pop(key, None)
        return {}

    def _list_tags(self, store: Store, params: Params) -> Result:
        return {"Tags": views.tags(store.tags_of(self._taggable(store, params)))}

    @staticmethod
    def _taggable(store: Store, params: Params) -> str:
        arn = str(params["ResourceArn"])
        if not store.holds(arn):
            raise AwsFault("ResourceNotFound", f"Could not find resource {arn}.")
        return arn

    @staticmethod
    def _refuse_existing(store: Store, kind: Kind, name: str, exists: bool) -> None:
        if exists:
            raise invalid(
                f'Cannot create already existing {TITLES[kind]} "{store.arn(kind, name)}".'
            )

    @staticmethod
    def _find(store: Store, kind: Kind, name: str) -> Record:
        found = (store.models if kind == "model" else store.configs).get(name)
        if found is None:
            raise invalid(f'Could not find {TITLES[kind]} "{store.arn(kind, name)}".')
        return found

    @staticmethod
    def _find_endpoint(store: Store, name: str) -> Endpoint:
        if name not in store.endpoints:
            raise invalid(f'Could not find endpoint "{store.arn("endpoint", name)}".')
        return store.endpoints[name]

    def _deployable(self, store: Store, name: str) -> Record:
        config = self._find(store, "endpoint-config", name)
        if time.time() - config.created < self._faults.config_delay_s:
            raise invalid(f'Could not find endpoint configuration "{config.arn}".')
        for model in _models(config):
            self._find(store, "model", model)
        return config

    @staticmethod
    def _live_configs(store: Store) -> list[Record]:
        live = [item for item in store.endpoints.values() if item.status not in _GONE]
        names = {name for item in live for name in (item.config, item.pending)}
        return [record for name, record in store.configs.items() if name in names]

    @staticmethod
    def _in_use(store: Store) -> list[dict[str, Any]]:
        return [
            variant
            for endpoint in store.endpoints.values()
            if endpoint.status not in _GONE
            for variant in _running(store, endpoint)
        ]


def _check_serverless_model(model: Mapping[str, Any]) -> None:
    container = images.primary_container(model)
    for holder, key in (
        (container, "ModelDataSource"),
        (container, "ImageConfig"),
        (model, "VpcConfig"),
    ):
        if holder.get(key):
            raise invalid(f"{key} is not supported for serverless endpoints.")
    if model.get("EnableNetworkIsolation"):
        raise invalid("Network isolation is not supported for serverless endpoints.")


def _running(store: Store, endpoint: Endpoint) -> list[dict[str, Any]]:
    """The settings of the endpoint's variants, also where its configuration is deleted."""
    if endpoint.variants:
        return [variant.settings for variant in endpoint.variants]
    config = store.configs.get(endpoint.config)
    return config.request["ProductionVariants"] if config else []


def _refuse_in_progress(endpoint: Endpoint) -> None:
    if endpoint.status not in ("InService", "Failed", "OutOfService", "UpdateRollbackFailed"):
        raise invalid(f'Cannot update in-progress endpoint "{endpoint.arn}".')


def _models(config: Record) -> list[str]:
    return [variant["ModelName"] for variant in config.request["ProductionVariants"]]


def _page(name: str, items: list[Result], token: str | None) -> Result:
    return {name: items, **({"NextToken": token} if token else {})}


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)[1:]
