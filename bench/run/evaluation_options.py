"""What can be asked of each evaluation protocol: its options, in specs and on the command line."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from bench.run.fields import Frozen, NonNegativeInt, PositiveFloat, PositiveInt
from bench.run.recipe import Recipe

SHOTS = (1, 5, 10, 25)
SEEDS = (0, 1, 2)
STRENGTHS = tuple(10.0**power for power in range(-6, 3))  # of a mean loss over the images
FINETUNE_LRS = (0.001, 0.003, 0.01, 0.03)  # Table 4, but for ImageNet

# One result of an evaluation: the columns of `evals` that tell it from its others.
Case = dict[str, Any]


class EvaluationOptions(Frozen):
    """Base class of the options of an evaluation; each protocol has a subclass.

    `protocol` is its name, a literal. `data` is another data set than the run's own: the network
    is adapted to its training split and tested on its evaluation split. `summary` describes
    the measurement in help texts.
    """

    protocol: str
    data: str | None = None

    summary: ClassVar[str]

    def cases(self) -> list[Case]:
        """Return the results wanted, each as the columns of `evals` that tell it from others."""
        raise NotImplementedError

    def identity(self) -> list[Any]:
        """Return the JSON values that distinguish this evaluation from others on the same data."""
        chosen = self.model_dump(mode="json", exclude={"protocol", "data"}, exclude_defaults=True)
        return [chosen]


class FewShotOptions(EvaluationOptions):
    """Options of few-shot ridge regression: images per class, and seeds of the draws."""

    protocol: Literal["fewshot"]
    shots: list[PositiveInt] = Field(default_factory=lambda: list(SHOTS), min_length=1)
    seeds: list[NonNegativeInt] = Field(default_factory=lambda: list(SEEDS), min_length=1)

    summary: ClassVar[str] = "ridge regression on few images"

    def cases(self) -> list[Case]:
        return [{"shots": number, "seed": seed} for number in self.shots for seed in self.seeds]

    def identity(self) -> list[Any]:
        return [sorted(self.shots), sorted(self.seeds)]


class LinearOptions(EvaluationOptions):
    """Options of linear evaluation: logistic regression on the representations.

    The strength of its L2 term is the best of `strengths` on `dev_fraction` of the training images;
    with it the regression is fitted to all of them. `image_size` is the run's own by default.
    """

    protocol: Literal["linear"]
    strengths: list[PositiveFloat] = Field(default_factory=lambda: list(STRENGTHS), min_length=1)
    dev_fraction: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    image_size: PositiveInt | None = None

    summary: ClassVar[str] = "logistic regression, strength chosen on held-out images"

    def cases(self) -> list[Case]:
        few = [f"{strength:g}" for strength in sorted(self.strengths)]
        among = f"{few[0]}..{few[-1]} ({len(few)})" if len(few) > 1 else few[0]
        size = "" if self.image_size is None else f" {self.image_size}px"
        return [{"settings": f"l2={among} dev={self.dev_fraction:g}{size}"}]


class KnnOptions(EvaluationOptions):
    """Options of nearest neighbours: how many of them, and the temperature of their votes."""

    protocol: Literal["knn"]
    neighbours: list[PositiveInt] = Field(default_factory=lambda: [20], min_length=1)
    temperature: PositiveFloat = 0.07
    image_size: PositiveInt | None = None

    summary: ClassVar[str] = "votes of the nearest training images"

    def cases(self) -> list[Case]:
        size = "" if self.image_size is None else f" {self.image_size}px"
        settings = f"temperature={self.temperature:g}{size}"
        return [{"neighbours": number, "settings": settings} for number in self.neighbours]


class FinetuneOptions(EvaluationOptions):
    """Options of fine-tuning; the defaults are those of the ViT paper's Table 4 and appendix B.1.1.

    The learning rate is the best of `lrs` on `dev_fraction` of the training images, which the
    others train for; with it the network is trained on all of them, once for each seed. `steps`
    are those of Pets and Flowers; CIFAR has 10,000 and ImageNet 20,000 steps and larger rates.
    `image_size` is the run's own by default, 384 in the paper.
    """

    protocol: Literal["finetune"]
    lrs: list[PositiveFloat] = Field(default_factory=lambda: list(FINETUNE_LRS), min_length=1)
    steps: PositiveInt = 500
    batch_size: PositiveInt = 512
    image_size: PositiveInt | None = None
    augment: Literal["none", "flip", "crop_flip", "inception"] = "inception"
    dev_fraction: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    seeds: list[NonNegativeInt] = Field(default_factory=lambda: [0], min_length=1)
    recipe: Recipe = Recipe(optimizer="sgd", weight_decay=0.0, decay="cosine")

    summary: ClassVar[str] = "all weights trained further, learning rate chosen on held-out images"

    def cases(self) -> list[Case]:
        return [{"seed": seed, "settings": self.label} for seed in self.seeds]

    @property
    def label(self) -> str:
        """How the network is trained, in one line: the column `settings` of `evals`."""
        rates = ",".join(f"{lr:g}" for lr in sorted(self.lrs))
        size = [] if self.image_size is None else [f"{self.image_size}px"]
        parts = [f"{self.steps} steps", f"batch={self.batch_size}", *size, f"lrs={rates}"]
        rest = [word for word in self.recipe.label.split() if not word.startswith("lr=")]
        parts += [f"dev={self.dev_fraction:g}", *rest, f"augment={self.augment}"]
        return " ".join(parts)
