"""The whole configuration: its top level, its paths, and the keys of each endpoint type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, Discriminator, Field, PrivateAttr, Tag, field_validator

from sageturner_magic.config.places import Places
from sageturner_magic.config.rules import (
    MOST_ENVIRONMENT_BYTES,
    MOST_TAGS,
    MOST_VARIABLES,
    ArtefactFile,
    ArtefactPath,
    Budget,
    EndpointName,
    EnvironmentKey,
    EnvironmentValue,
    KmsKey,
    LeaseLength,
    TagKey,
    TagValue,
    Variable,
    budget_dollars,
    environment_bytes,
    environment_fits,
    lease_seconds,
)
from sageturner_magic.config.schema import (
    Compute,
    Container,
    Network,
    Overrides,
)
from sageturner_magic.config.secret_reference import SecretText, read_by_server
from sageturner_magic.config.section import Section
from sageturner_magic.config.serving import Serving
from sageturner_magic.constants import ContainerMode, EndpointType
from sageturner_magic.errors import Finding


def _mapping_or_text(value: Any) -> str:
    return "[mapping]" if isinstance(value, dict) else "[text]"


class Config(Section):
    """A whole configuration, checked.

    Paths are kept as the user wrote them; `code_dir` and `docker_dir` give them as absolute paths.
    """

    name: EndpointName = Field(
        description="Name of the endpoint: 1 to 40 lower-case letters, digits and hyphens. "
        "Deploying the same name again updates that endpoint in place.",
        examples=["my-model"],
    )
    artefact: (
        Annotated[
            Annotated[ArtefactPath, Tag("[text]")]
            | Annotated[dict[ArtefactFile, Variable], Tag("[mapping]")],
            Discriminator(_mapping_or_text),
        ]
        | None
    ) = Field(
        None,
        description="Trained model that load(model_dir) reads: a file, a folder, a .tar.gz, an "
        "s3:// address, or in a notebook {file name: variable}, which saves the variable's object. "
        "Objects of the notebook that captured cells use are added. `auto`, as if left out: only "
        "these. `none`: no files, and code that uses such objects is refused. A name that is a "
        "variable and no file means its object, as the file that load() reads. Also spelt "
        "`artifact`.",
        examples=["./model"],
    )
    artefact_limit: int = Field(
        200,
        ge=1,
        description="MB of model files that objects of the notebook may become unasked. Above it "
        "`artefact` has to name the objects.",
        examples=[500],
    )
    container: Container = Field(Container(), description="What the endpoint runs.")
    compute: Compute = Field(
        Compute(), description="Where it runs; the endpoint type of a deployment picks the section."
    )
    serving: Serving = Field(
        Serving(), description="How the model server treats requests (container mode `generate`)."
    )
    network: Network = Field(
        Network(), description="A VPC of your own, for the endpoint type `server`."
    )
    kms_key: KmsKey | None = Field(
        None,
        description="KMS key (id, ARN or alias) that encrypts the disks of the endpoint's "
        "instances. Left out: AWS's own key, which also encrypts artefacts in S3.",
        examples=["alias/my-key"],
    )
    environment: Annotated[
        dict[EnvironmentKey, EnvironmentValue],
        AfterValidator(environment_fits),
    ] = Field(
        {},
        max_length=MOST_VARIABLES,
        description=f"Environment variables of the model server, at most {MOST_VARIABLES}. Values "
        "are text as written. AWS shows them to whoever may describe the model: write secrets "
        "under `secrets`.",
        examples=[{"LOG_LEVEL": "info"}],
    )
    secrets: dict[EnvironmentKey, SecretText] = Field(
        {},
        max_length=MOST_VARIABLES,
        description="Environment variables whose values are secrets: the name or ARN of a secret "
        "in Secrets Manager, or `ssm:` and the name of a parameter; `#key` after it means one "
        "entry of a JSON object. The model server reads them at its start with the endpoint's "
        "role. On this machine: the environment variable, `.env` beside the YAML, or the keyring.",
        examples=[{"HF_TOKEN": "team/hf"}],
    )
    not_secret: tuple[EnvironmentKey, ...] = Field(
        (),
        description="Keys of `environment` and `tags` whose values look like secrets and are none.",
        examples=[["CACHE_KEY"]],
    )
    lease: LeaseLength | None = Field(
        None,
        description="How long an endpoint on SageMaker stays after its last use by `deploy`, "
        "`invoke` or `load-test`, such as `30m`, `8h` or `2d`: then AWS deletes it, whether your "
        "machine runs or not. `none` ends a lease, and the endpoint stays. Left out: a lease "
        "stays as it is, and a new endpoint has none.",
        examples=["8h"],
    )
    budget: Budget | None = Field(
        None,
        description="US dollars that an endpoint on instances may cost, such as `$20`. AWS deletes "
        "it as soon as the most instances that may run could have cost them, counted from the "
        "first deployment with `budget` on. Use does not move that end; every deployment computes "
        "it anew. In place of `lease`.",
        examples=["$20"],
    )
    protected: bool | None = Field(
        None,
        description="`true`: `delete` and `extend` refuse the endpoint on SageMaker, and it has no "
        "lease, so that nobody deletes it by mistake; `false` ends that. Left out: it stays as it "
        "is. AWS itself knows nothing of it: permissions decide who may delete an endpoint.",
        examples=[False],
    )
    tags: dict[TagKey, TagValue] = Field(
        {},
        max_length=MOST_TAGS,
        description=f"Tags on everything that is created, at most {MOST_TAGS}, for instance to "
        "tell costs apart.",
        examples=[{"team": "search"}],
    )
    overrides: Overrides = Field(
        Overrides(), description="Names of your own in place of the usual ones."
    )

    _places: Places = PrivateAttr(default_factory=Places)

    def model_post_init(self, context: Any, /) -> None:
        if isinstance(context, Places):
            self._places = context

    @property
    def places(self) -> Places:
        """Where it was written."""
        return self._places

    def placed(self, places: Places) -> Config:
        """The same configuration, as if it was written there."""
        copy = self.model_copy()
        copy._places = places
        return copy

    def where(self, key: str) -> str:
        """The place where a dotted key was written, such as `sageturner.yaml:7:13`.

        Falls back to the nearest parent that was written, then to the document; empty for a
        configuration that was not read from YAML.
        """
        return self._places.where(key)

    def located(self, finding: Finding) -> Finding:
        """`finding` with the place in the YAML, if its `where` is a dotted key that was written."""
        key = finding.where
        if key.partition(".")[0] not in self.model_fields_set or not (place := self.where(key)):
            return finding
        return replace(finding, where=place, key=key)

    def resolve(self, path: str) -> Path:
        """The absolute form of a path of this configuration, relative to where it was written."""
        return self._places.folder.absolute() / Path(path).expanduser()

    @property
    def code_dir(self) -> Path | None:
        """The folder with sageturner.py; None where the notebook's cells are meant."""
        written = self.container.generate_container.code_dir
        return None if written is None else self.resolve(written)

    @property
    def docker_dir(self) -> Path | None:
        """The folder with the user's own Dockerfile."""
        provided = self.container.provide_container
        return None if provided is None else self.resolve(provided.docker_dir)

    @field_validator("artefact")
    @classmethod
    def _auto_names_nothing(cls, value: object) -> object:
        return None if value == "auto" else value

    @property
    def named_artefact(self) -> str | dict[str, str] | None:
        """What `artefact` names; None for `none` and where it is left out."""
        return None if self.artefact == "none" else self.artefact

    @property
    def s3_artefact(self) -> str | None:
        """The `s3://…` address of an artefact that is there already."""
        is_s3 = isinstance(self.artefact, str) and self.artefact.startswith("s3://")
        return str(self.artefact) if is_s3 else None

    @property
    def lease_s(self) -> int:
        """The seconds of the lease; 0 where `lease` is left out or `none`."""
        return lease_seconds(self.lease or "none")

    @property
    def dollars(self) -> float:
        """The US dollars of `budget`; 0 where it is left out."""
        return budget_dollars(self.budget) if self.budget else 0.0

    @property
    def ends(self) -> str:
        """The key that ends the endpoint; empty where none does."""
        return "budget" if self.budget else "lease" if self.lease_s else ""

    @property
    def artefact_variables(self) -> Mapping[str, str]:
        """File name -> the notebook variable that is saved as it."""
        return self.artefact if isinstance(self.artefact, dict) else {}

    def container_environment(
        self, container_mode: ContainerMode, region: str = ""
    ) -> dict[str, str]:
        """The container's variables on SageMaker: the user's, and the settings of our server."""
        environment = {**self.environment, **read_by_server(self.secrets, region)}
        if container_mode == "generate" and self.serving.model_fields_set:
            environment["SAGETURNER_SERVING"] = json.dumps(self.serving.settings(), sort_keys=True)
        return environment

    def to_yaml(self) -> str:
        """YAML with the keys that were written, in the schema's order, without comments."""
        written = self.model_dump(mode="json", exclude_unset=True, exclude_none=True)
        return yaml.safe_dump(written, sort_keys=False, allow_unicode=True, width=10_000)

    def check(self, endpoint_type: EndpointType, container_mode: ContainerMode) -> list[Finding]:
        """What does not fit this type of endpoint and this container mode."""
        findings: list[Finding] = []

        def found(key: str, what: str, why: str, do: str) -> None:
            findings.append(
                Finding(what, why=why, do=do, where=self.where(key), key=key, code="ST20")
            )

        if container_mode == "provide" and self.container.provide_container is None:
            found(
                "container.provide_container",
                "`container.provide_container` is missing",
                "the container mode `provide` builds your own Dockerfile",
                "add `container: {provide_container: {docker_dir: ./provided-container}}`",
            )
        if (
            container_mode == "provide"
            and endpoint_type == "local"
            and self.compute.local.mode == "process"
            and "mode" in self.compute.local.model_fields_set
        ):
            found(
                "compute.local.mode",
                "`compute.local.mode` is `process`",
                "an image of your own runs in a container only",
                "leave `mode` out, or write `mode: container`",
            )
        if (
            endpoint_type == "serverless"
            and container_mode == "generate"
            and self.container.generate_container.install_cuda
        ):
            found(
                "container.generate_container.install_cuda",
                "`container.generate_container.install_cuda` is true",
                "serverless endpoints have no GPU",
                "write `install_cuda: false`, or deploy with `--endpoint-type server` and a GPU "
                "instance such as ml.g5.xlarge",
            )
        if endpoint_type == "serverless" and self.network != Network():
            found(
                "network",
                "`network` is set",
                "serverless endpoints take neither a VPC nor network isolation",
                "remove `network`, or deploy with `--endpoint-type server`",
            )
        in_s3 = self.s3_artefact
        if endpoint_type == "serverless" and in_s3 and not in_s3.endswith(".tar.gz"):
            found(
                "artefact",
                "A serverless endpoint takes its artefact as one .tar.gz",
                f"`{in_s3}` is a prefix",
                "pack it as model.tar.gz, or name a local folder",
            )
        for name in self.secrets.keys() & self.environment.keys():
            found(
                f"environment.{name}",
                f"`{name}` is under `environment` and under `secrets`",
                "a variable has one value",
                "remove it from `environment`",
            )
        if self.secrets and self.network.isolation and endpoint_type == "server":
            found(
                "secrets",
                "`secrets` and `network.isolation` do not go together",
                "an isolated container reaches neither AWS nor the credentials of its role",
                "remove `isolation`, or ship what the model needs as a file of the artefact",
            )
        if self.secrets and container_mode == "provide" and endpoint_type != "local":
            found(
                "secrets",
                "`secrets` is set for an image of your own",
                "the server of a generated image reads them, and yours does not",
                "read them in your image with boto3 and the endpoint's role, and remove `secrets`",
            )
        variables = self.container_environment(container_mode)
        size = environment_bytes(variables)
        if endpoint_type != "local" and (
            len(variables) > MOST_VARIABLES or size > MOST_ENVIRONMENT_BYTES
        ):
            found(
                "environment",
                "`environment` leaves no room for the settings of `serving`",
                f"with them it has {len(variables)} variables of {size} bytes in all, and "
                f"SageMaker takes at most {MOST_VARIABLES} of {MOST_ENVIRONMENT_BYTES} bytes",
                "ship some of the values as files of the artefact",
            )
        if self.ends and endpoint_type == "local":
            findings.append(
                Finding(
                    f"`{self.ends}` does not apply here",
                    why="a local endpoint costs nothing, and no schedule ends it",
                    where=self.where(self.ends),
                    key=self.ends,
                    severity="note",
                )
            )
        if self.protected and self.ends:
            found(
                "protected",
                f"`protected` and `{self.ends}` do not go together",
                f"with `{self.ends}: {self.budget or self.lease}` AWS would delete the endpoint,"
                " and `protected` keeps it",
                f"remove `{self.ends}`, or write `protected: false`",
            )
        if self.budget and self.lease:
            found(
                "budget",
                "`budget` and `lease` are both set",
                "an endpoint has one end",
                "keep one of the two",
            )
        if self.budget and endpoint_type == "serverless":
            found(
                "budget",
                "`budget` does not apply to a serverless endpoint",
                "it is billed for requests and their data, so no time keeps it within an amount",
                "write `lease: 8h` in place of `budget`, or deploy with `-e server`",
            )
        if self.overrides.role_name and self.overrides.role_arn:
            found(
                "overrides.role_arn",
                "`overrides.role_name` and `overrides.role_arn` are both set",
                "an endpoint runs with one role",
                "keep one of the two",
            )
        if self.overrides.role_path and self.overrides.role_arn:
            found(
                "overrides.role_path",
                "`overrides.role_path` and `overrides.role_arn` are both set",
                "an ARN has the role's path in it",
                "remove `role_path`",
            )
        return findings
