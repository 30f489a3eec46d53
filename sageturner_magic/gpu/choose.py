"""Judge every build of every framework on every driver, and choose the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from sageturner_magic.gpu import facts
from sageturner_magic.gpu.frameworks import Option, dotted
from sageturner_magic.gpu.values import Capability


@dataclass(frozen=True)
class Setup:
    """A driver that an endpoint could have.

    Attributes:
        ami: InferenceAmiVersion, empty for the default.
        driver: Its branch, None where that is not known.
    """

    ami: str
    driver: int | None


class Fitness(IntEnum):
    """Whether a build runs."""

    FITS = 0
    UNKNOWN = 1
    MISFIT = 2


@dataclass(frozen=True)
class Judgement:
    """A verdict and its cause; the cause of FITS is empty."""

    verdict: Fitness
    why: str = ""


@dataclass(frozen=True)
class ChosenBuilds:
    """The builds chosen for one driver.

    Attributes:
        setup: The driver.
        options: Framework -> the build that is taken.
        judgements: Framework -> whether that build runs.
        cost: Smaller is better: misfits, CPU builds, doubts, replaced builds, other AMIs.
    """

    setup: Setup
    options: Mapping[str, Option]
    judgements: Mapping[str, Judgement]
    cost: tuple[int, int, int, int, int]

    @property
    def misfits(self) -> list[str]:
        """The frameworks that cannot run."""
        return self._with(Fitness.MISFIT)

    @property
    def doubts(self) -> list[str]:
        """The frameworks of which it is not known whether they run."""
        return self._with(Fitness.UNKNOWN)

    @property
    def certain(self) -> bool:
        """Whether every framework is known to run, and on the GPU."""
        return self.cost[:3] == (0, 0, 0)

    def _with(self, verdict: Fitness) -> list[str]:
        return [name for name, found in self.judgements.items() if found.verdict == verdict]


def setups(gpu: facts.Family, ami: str) -> list[Setup]:
    """The drivers that a family can have, the default first; one where the user set an AMI."""
    if ami:
        known = facts.AMIS.get(ami)
        return [Setup(ami, known.driver if known else None)]
    default = Setup("", gpu.default_driver)
    return [default, *(Setup(name, facts.AMIS[name].driver) for name in gpu.known_good)]


def floor(cuda_major: int) -> int:
    """The oldest driver branch that runs a CUDA major; that of the nearest known one otherwise."""
    known = max(min(cuda_major, max(facts.FLOORS)), min(facts.FLOORS))
    return int(facts.FLOORS[known].partition(".")[0])


def covers(option: Option, capability: Capability) -> bool:
    """Whether a build has code for a GPU, as far as that is known."""
    cuda = option.need.cuda
    if cuda and capability < facts.LEAST_CAPABILITY.get(cuda[0], (0, 0)):
        return False
    if option.capabilities is None:
        return True
    return any(
        major == capability[0] and minor <= capability[1] for major, minor in option.capabilities
    )


def _knows(driver: int, capability: Capability) -> bool:
    first = facts.FIRST_DRIVER.get(capability[0], driver)
    return first <= driver <= facts.LAST_DRIVER.get(capability, driver)


def judge(option: Option, gpu: facts.Family, setup: Setup) -> Judgement:
    """Whether a build runs on a GPU with a driver."""
    cuda = option.need.cuda
    if cuda is None:
        return Judgement(Fitness.FITS)
    ami = setup.ami or "the default AMI"
    if setup.driver and gpu.capability and not _knows(setup.driver, gpu.capability):
        return Judgement(
            Fitness.MISFIT,
            f"driver {setup.driver}, which {ami} has, does not support the {gpu.gpu}",
        )
    if gpu.capability and not covers(option, gpu.capability):
        return Judgement(
            Fitness.MISFIT,
            f"its CUDA {dotted(cuda)} build has no code for the {gpu.gpu} "
            f"(compute capability {dotted(gpu.capability)})",
        )
    least = floor(cuda[0])
    if setup.driver and setup.driver < least:
        return Judgement(
            Fitness.MISFIT,
            f"CUDA {cuda[0]} needs driver {least} or newer, and {ami} has {setup.driver}",
        )
    if cuda[0] not in facts.FLOORS:
        return Judgement(Fitness.UNKNOWN, f"the driver that CUDA {cuda[0]} needs is not known")
    if gpu.capability is None:
        return Judgement(Fitness.UNKNOWN, "the instance's GPU is not known")
    if cuda < facts.FIRST_CUDA.get(gpu.capability, cuda) and option.capabilities is not None:
        return Judgement(Fitness.UNKNOWN, f"CUDA {dotted(cuda)} is older than the {gpu.gpu}")
    if option.capabilities is None and gpu.capability > facts.LAST_ASSUMED:
        return Judgement(
            Fitness.UNKNOWN, f"it is not known whether this version has code for the {gpu.gpu}"
        )
    if setup.driver is None and facts.FIRST_DRIVER.get(gpu.capability[0], 0) < least:
        return Judgement(
            Fitness.UNKNOWN,
            f"CUDA {cuda[0]} needs driver {least} or newer, and the driver of {ami} is not "
            "documented",
        )
    return Judgement(Fitness.FITS)


def best(options: Mapping[str, Sequence[Option]], gpu: facts.Family, ami: str) -> ChosenBuilds:
    """The best choice: nothing that cannot run, then the GPU used, then no doubt, then no change.

    Args:
        options: Framework -> its builds, the resolved one first.
        gpu: The instance's GPU.
        ami: The user's AMI, empty to choose among the default and those known good.
    """
    return min(
        (_choose(options, gpu, setup, rank) for rank, setup in enumerate(setups(gpu, ami))),
        key=lambda choice: choice.cost,
    )


def _choose(
    options: Mapping[str, Sequence[Option]], gpu: facts.Family, setup: Setup, rank: int
) -> ChosenBuilds:
    taken: dict[str, Option] = {}
    judgements: dict[str, Judgement] = {}
    for name, builds in options.items():
        judged = [(build, judge(build, gpu, setup)) for build in builds]
        # min() keeps the first of equals, and the resolved build stands first.
        taken[name], judgements[name] = min(
            judged,
            key=lambda pair: (
                pair[1].verdict == Fitness.MISFIT,
                pair[0].need.cuda is None,
                pair[1].verdict,
            ),
        )
    found = [judgement.verdict for judgement in judgements.values()]
    cost = (
        found.count(Fitness.MISFIT),
        sum(build.need.cuda is None for build in taken.values()),
        found.count(Fitness.UNKNOWN),
        sum(bool(build.replacements) for build in taken.values()),
        rank,
    )
    return ChosenBuilds(setup, taken, judgements, cost)
