"""How families of models are called and drawn: the paper's, and those that a program adds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """Title of a family, and its color and marker in figures, as matplotlib names them."""

    title: str
    color: str
    marker: str


# In this order everywhere. Colors that people of all kinds of color vision tell apart (Okabe and
# Ito, 2008).
LOOKS: dict[str, Look] = {
    "vit": Look("ViT", "#0072B2", "o"),
    "hybrid": Look("Hybrid", "#D55E00", "D"),
    "bit": Look("ResNet", "#009E73", "s"),
}
OTHERS = (("#CC79A7", "^"), ("#E69F00", "v"), ("#56B4E9", "P"), ("#000000", "X"))


def title(family: str) -> str:
    """Return the displayed name of a family, an unknown one as it is."""
    return LOOKS[family].title if family in LOOKS else family


def style(family: str) -> tuple[str, str]:
    """Return color and marker of a family, the same in every figure; spare ones if unknown."""
    if family in LOOKS:
        return LOOKS[family].color, LOOKS[family].marker
    return OTHERS[sum(map(ord, family)) % len(OTHERS)]
