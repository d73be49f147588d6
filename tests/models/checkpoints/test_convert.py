"""Published checkpoints give the published outputs, and come back as they were."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import scipy.ndimage
import torch
from torch import nn

import models
from models.checkpoints.convert import to_npz
from models.layouts.rules import Layout
from models.vit.checkpoints import NUMBERED_BY_TYPE, resize_positions
from models.vit.network import ViT
from tests.helpers.disk import record_flushes
from tests.helpers.layouts import config_of, rules, vit_config_of
from tests.helpers.paths import DATA, ROOT

# Larger files of the same kind; a checkout alone does not have them.
LARGE = ROOT.parent / "shared" / "fixtures"

# Random weights in published layouts, and what the published code makes of two images with them:
# vit_jax (ViT, hybrid), bit_pytorch (BiT), timm 1.0.31, in float32 on a CPU.
FIXTURES = [
    (DATA / "vit_p8_d64_l3_h4_token.npz", 2e-5),
    (DATA / "vit_p8_d48_l2_h3_prelogits48.npz", 2e-5),
    (DATA / "vit_p16_d64_l2_h2_gap.npz", 2e-5),
    (LARGE / "hybrid_r1-1-2_p1_d64_l2_h4.npz", 2e-4),
    (LARGE / "bit_r1-1-1-1_x1.npz", 2e-4),
    (LARGE / "timm_vit_p8_d128_l2.safetensors", 2e-5),
    (LARGE / "timm_hybrid_r1-1-1_d128.safetensors", 2e-4),
    (LARGE / "timm_bit_r1-1-1-1_x1.safetensors", 2e-4),
]
TOKEN, PRELOGITS, GAP = (path for path, _ in FIXTURES[:3])


def _expected(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """The images (B, 3, H, W) and the logits beside a fixture."""
    twin = path.with_name(f"{path.stem}_io{path.suffix}")
    if path.suffix == ".safetensors":
        arrays = safetensors.torch.load_file(twin)
        return arrays["images_nchw"], arrays["logits"]
    with np.load(twin, allow_pickle=False) as file:
        logits = torch.from_numpy(file["logits"])
        if "images_nchw" in file:
            return torch.from_numpy(file["images_nchw"]), logits
        return torch.from_numpy(file["images_nhwc"]).permute(0, 3, 1, 2), logits


def _savez(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays under names that are not Python identifiers."""
    save: Callable[..., None] = np.savez
    save(path, **arrays)


def _filled(network: nn.Module) -> nn.Module:
    """The network with a random value in every place, so that no zero hides an error."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1 + 0.05)
    return network.eval()


def _same_state(one: nn.Module, other: nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


@pytest.mark.parametrize(("path", "tolerance"), FIXTURES, ids=lambda x: getattr(x, "name", str(x)))
def test_logits_are_those_of_the_published_code(path: Path, tolerance: float) -> None:
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    images, logits = _expected(path)
    network = models.load_checkpoint(path).eval()
    with torch.no_grad():
        deviation = (network(images) - logits).abs().max() / logits.abs().max()
    assert deviation < tolerance


def test_the_architecture_stands_in_the_file() -> None:
    config = vit_config_of(models.load_checkpoint(PRELOGITS))
    assert (config.patch_size, config.width, config.depth) == (8, 48, 2)
    assert (config.mlp_dim, config.num_heads, config.representation_size) == (96, 3, 48)
    assert (config.image_size, config.pooling) == (40, "token")
    config = vit_config_of(models.load_checkpoint(GAP))
    assert (config.image_size, config.pooling, config.num_heads) == (64, "gap", 2)


@pytest.mark.parametrize("path", [TOKEN, PRELOGITS, GAP], ids=lambda path: path.name)
def test_an_npz_comes_back_to_the_last_bit(path: Path, tmp_path: Path) -> None:
    layout = None
    if path == GAP:
        layout = Layout("flax", NUMBERED_BY_TYPE, "Transformer/posembed_input/pos_embedding")
    with np.load(path, allow_pickle=False) as file:
        original = {name: file[name] for name in file.files}
    written = to_npz(models.load_checkpoint(path), layout=layout)
    assert written.keys() == original.keys()
    for name, array in original.items():
        assert np.array_equal(written[name], array), name
        assert written[name].dtype == array.dtype


# Overrides that shrink registered networks, and whether an .npz can express them.
NETWORKS: list[tuple[str, dict[str, Any], bool]] = [
    ("vit_micro2", {}, True),
    ("vit_nano2", {"pooling": "gap", "representation_size": 20, "image_size": 16}, True),
    ("vit_nano2", {"position_embedding": "2d"}, False),
    ("vit_nano2", {"position_embedding": "relative"}, False),
    ("vit_nano2", {"position_embedding": "none", "gelu": "erf"}, False),
    ("r8_vit_nano2", {}, False),
    ("r26_vit_s32", {"stages": (1, 2), "depth": 1, "width": 64, "num_heads": 4}, True),
    ("r_vit_ti16", {"depth": 1, "image_size": 64}, True),
    ("bit_nano", {}, False),
    ("bit_r50x2", {"stages": (1, 2)}, True),
]


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize(("name", "overrides", "fits"), NETWORKS)
def test_saving_and_loading_is_identity(
    name: str, overrides: dict[str, Any], fits: bool, suffix: str, tmp_path: Path
) -> None:
    network = _filled(models.build(name, num_classes=7, **overrides))
    path = tmp_path / f"network{suffix}"
    if suffix == ".npz" and not fits:
        with pytest.raises(models.CheckpointError, match=r"an \.npz implies"):
            models.save_checkpoint(network, path)
        return
    models.save_checkpoint(network, path)
    again = models.load_checkpoint(path)
    assert _same_state(network, again)
    assert all(parameter.is_contiguous() for parameter in again.parameters())
    assert all(parameter.requires_grad for parameter in again.parameters())
    assert [path.name for path in tmp_path.iterdir()] == [path.name]
    if suffix == ".safetensors":
        assert again.config == network.config


def test_a_registered_network_is_recognized_by_its_structure(tmp_path: Path) -> None:
    network = models.build("vit_micro2", num_classes=3)
    models.save_checkpoint(network, tmp_path / "x.npz")
    assert models.load_checkpoint(tmp_path / "x.npz").config == network.config


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("vit_micro2", {"num_heads": 6, "representation_size": 20, "gelu": "erf"}),
        ("vit_nano2", {"width": 128, "num_heads": 2, "pooling": "gap", "gelu": "erf"}),
        ("r26_vit_s32", {"stages": (1, 2), "depth": 1, "width": 64, "num_heads": 1}),
        ("r_vit_ti16", {"depth": 1, "image_size": 64}),
        ("bit_r50x2", {"stages": (1, 2)}),
    ],
)
def test_a_timm_file_is_read_by_its_names(
    name: str, overrides: dict[str, Any], tmp_path: Path
) -> None:
    network = _filled(models.build(name, num_classes=5, **overrides))
    state = network.state_dict()
    layout = Layout("timm", position_key="pos_embed")
    arrays = {
        rule.theirs: rule.to_theirs(state[rule.ours]).contiguous()
        for rule in rules(config_of(network), layout)
    }
    safetensors.torch.save_file(arrays, tmp_path / "timm.safetensors")
    wanted = network.config
    told = {key: getattr(wanted, key) for key in ("num_heads", "gelu") if key in overrides}
    again = models.load_checkpoint(tmp_path / "timm.safetensors", **told)
    assert _same_state(network, again)
    config = config_of(again)
    assert config.label == (config_of(network).label if name == "vit_micro2" else "from a file")
    if isinstance(config, models.ViTConfig):
        assert (config.gelu, config.norm_eps) == ("erf", 1e-6)
        assert config.num_heads == vit_config_of(network).num_heads
    if not isinstance(config, models.BiTConfig | models.HybridConfig):
        return
    assert (config.weight_eps, config.weight_eps_form) == (1e-8, "variance")
    assert config.group_norm_eps == 1e-5


def test_big_vision_keeps_no_position_for_the_class_token(tmp_path: Path) -> None:
    network = _filled(models.build("vit_nano2", num_classes=5))
    with torch.no_grad():
        network.get_parameter("position_embedding.tokens")[0] = 0
    layout = Layout("flax", NUMBERED_BY_TYPE, "pos_embedding", token_has_position=False)
    arrays = to_npz(network, layout=layout)
    assert arrays["pos_embedding"].shape == (1, 16, 48)
    training = {f"params/{name}": array for name, array in arrays.items()}
    _savez(tmp_path / "x.npz", {**training, "opt/0/count": np.zeros((), int)})
    assert _same_state(network, models.load_checkpoint(tmp_path / "x.npz"))


def test_big_vision_names_a_bit_in_its_own_way(tmp_path: Path) -> None:
    network = _filled(models.build("bit_r50x1", num_classes=5, stages=(1, 2)))
    arrays = to_npz(network, layout=Layout("flax"))
    arrays["norm-pre-head/scale"] = arrays["norm-pre-head/scale"][None, None, None]
    _savez(tmp_path / "x.npz", arrays)
    assert _same_state(network, models.load_checkpoint(tmp_path / "x.npz"))


@pytest.mark.parametrize(
    "where", ["Transformer/posembed_input/pos_embedding", "Transformer/pos_embedding"]
)
@pytest.mark.parametrize("prefix", ["", "opt/target/"])
def test_older_places_of_the_position_embedding(where: str, prefix: str, tmp_path: Path) -> None:
    network = _filled(models.build("vit_nano2", num_classes=5))
    arrays = to_npz(network)
    arrays[where] = arrays.pop("Transformer/posembed_input/pos_embedding")
    _savez(tmp_path / "x.npz", {f"{prefix}{name}": x for name, x in arrays.items()})
    assert _same_state(network, models.load_checkpoint(tmp_path / "x.npz"))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 5), (7, 7), (12, 9), (24, 24)])
def test_positions_are_resized_like_scipys_zoom(height: int, width: int) -> None:
    grid = np.random.default_rng(0).normal(size=(7, 7, 5)).astype(np.float32)
    expected = scipy.ndimage.zoom(grid, (height / 7, width / 7, 1), order=1)
    resized = resize_positions(torch.from_numpy(grid), height, width)
    np.testing.assert_allclose(resized, expected, atol=5e-6)


@pytest.mark.parametrize("path", [TOKEN, GAP], ids=lambda path: path.name)
def test_another_image_size_resizes_the_grid_and_leaves_the_class_token(path: Path) -> None:
    old, new = models.load_checkpoint(path), models.load_checkpoint(path, image_size=80)
    config = vit_config_of(old)
    before, after = config.grid.rows, 80 // config.patch_size
    extra = 1 if path == TOKEN else 0
    small, large = (n.get_parameter("position_embedding.tokens").detach() for n in (old, new))
    assert torch.equal(large[:extra], small[:extra])
    expected = resize_positions(small[extra:].reshape(before, before, -1), after, after)
    assert torch.equal(large[extra:], expected.flatten(0, 1))
    assert new(torch.zeros(1, 3, 80, 80)).shape == old(_expected(path)[0])[:1].shape


def test_two_dimensional_positions_are_resized_per_axis(tmp_path: Path) -> None:
    network = _filled(models.build("vit_nano2", num_classes=3, position_embedding="2d"))
    models.save_checkpoint(network, tmp_path / "x.safetensors")
    larger = models.load_checkpoint(tmp_path / "x.safetensors", image_size=14)
    rows, more = (n.get_parameter("position_embedding.rows").detach() for n in (network, larger))
    assert torch.equal(more[::2], rows)  # 4 places to 7: every second is an old one
    torch.testing.assert_close(more[1::2], (rows[:-1] + rows[1:]) / 2)


def test_relative_positions_do_not_resize(tmp_path: Path) -> None:
    network = models.build("vit_nano2", num_classes=3, position_embedding="relative")
    models.save_checkpoint(network, tmp_path / "x.safetensors")
    with pytest.raises(models.CheckpointError, match="relative positions"):
        models.load_checkpoint(tmp_path / "x.safetensors", image_size=16)


def test_an_image_size_that_does_not_fit_is_refused_with_the_file() -> None:
    with pytest.raises(models.CheckpointError, match=r"token\.npz: .*image_size = 30"):
        models.load_checkpoint(TOKEN, image_size=30)


def test_other_classes_drop_the_whole_head_for_zeros() -> None:
    images, _ = _expected(PRELOGITS)
    network = models.load_checkpoint(PRELOGITS, num_classes=3).eval()
    assert isinstance(network, ViT)
    assert network.representation is None and network.config.representation_size is None
    assert network.features(images).shape == (2, 48)
    assert network(images).shape == (2, 3) and network(images).abs().max() == 0
    kept = models.load_checkpoint(PRELOGITS, num_classes=10).eval()
    assert kept.representation is not None and kept(images).abs().max() > 0


def test_a_file_without_a_head_needs_num_classes(tmp_path: Path) -> None:
    arrays = to_npz(models.load_checkpoint(TOKEN))
    body = {name: array for name, array in arrays.items() if not name.startswith("head/")}
    _savez(tmp_path / "x.npz", body)
    with pytest.raises(models.CheckpointError, match="num_classes must be given"):
        models.load_checkpoint(tmp_path / "x.npz")
    head = models.load_checkpoint(tmp_path / "x.npz", num_classes=4).head
    assert isinstance(head, nn.Linear) and head.out_features == 4


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    arrays = to_npz(models.load_checkpoint(TOKEN))
    del arrays["Transformer/encoder_norm/scale"]
    arrays["Transformer/encoderblock_1/MlpBlock_3/Dense_0/bias"] = np.zeros(7, np.float32)
    arrays["dist"] = np.zeros(3, np.float32)
    _savez(tmp_path / "x.npz", arrays)
    with pytest.raises(models.CheckpointError) as error:
        models.load_checkpoint(tmp_path / "x.npz")
    message = str(error.value)
    assert message.startswith(str(tmp_path / "x.npz")) and "\n" not in message
    assert "missing: Transformer/encoder_norm/scale" in message
    assert "unexpected: dist" in message
    assert "MlpBlock_3/Dense_0/bias (7,) instead of (128,)" in message


@pytest.mark.parametrize("index", range(0, 56, 5))
def test_no_array_may_be_missing(index: int, tmp_path: Path) -> None:
    arrays = to_npz(models.load_checkpoint(TOKEN))
    name = sorted(arrays)[index]
    del arrays[name]
    _savez(tmp_path / "x.npz", arrays)
    with pytest.raises(models.CheckpointError, match=f"missing: {name}"):
        models.load_checkpoint(tmp_path / "x.npz")


def test_a_run_says_what_its_weights_are(tmp_path: Path) -> None:
    network = _filled(models.build("vit_nano2", num_classes=4, image_size=16, pooling="gap"))
    metadata = {
        "model": "vit_nano2",
        "num_classes": "4",
        "image_size": "16",
        "model_options": '{"pooling": "gap"}',
    }
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(network.state_dict(), path, metadata=metadata)
    assert _same_state(network, models.load_checkpoint(path))
    safetensors.torch.save_file(network.state_dict(), path, metadata={**metadata, "model": "vit"})
    with pytest.raises(models.CheckpointError, match="unknown model 'vit'"):
        models.load_checkpoint(path)


def test_only_networks_of_ours_are_saved(tmp_path: Path) -> None:
    with pytest.raises(models.CheckpointError, match="got Linear"):
        models.save_checkpoint(nn.Linear(2, 2), tmp_path / "x.npz")
    with pytest.raises(models.CheckpointError, match="ends in"):
        models.save_checkpoint(models.build("vit_nano2", num_classes=2), tmp_path / "x.pt")


@pytest.mark.parametrize("path", [TOKEN, GAP], ids=lambda path: path.name)
def test_a_grid_need_not_be_square(path: Path) -> None:
    old, new = models.load_checkpoint(path), models.load_checkpoint(path, image_size=(48, 96))
    config = vit_config_of(old)
    grid, patch, extra = config.grid, config.patch_size, 1 if path == TOKEN else 0
    small, wide = (n.get_parameter("position_embedding.tokens").detach() for n in (old, new))
    zoom = (48 / patch / grid.rows, 96 / patch / grid.columns, 1)
    square = small[extra:].reshape(grid.rows, grid.columns, -1).numpy()
    expected = scipy.ndimage.zoom(square, zoom, order=1).reshape(-1, config.width)
    assert torch.equal(wide[:extra], small[:extra])
    np.testing.assert_allclose(wide[extra:], expected, atol=5e-6)
    assert new(torch.zeros(2, 3, 48, 96)).shape == old(_expected(path)[0]).shape
    with pytest.raises(ValueError, match=r"takes \(B, 3, 48, 96\), got \(2, 3, 96, 48\)"):
        new(torch.zeros(2, 3, 96, 48))


@pytest.mark.parametrize("name", ["x.npz", "x.safetensors"])
def test_a_saved_file_and_its_folder_are_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    flushes = record_flushes(monkeypatch)
    models.save_checkpoint(models.build("vit_nano2", num_classes=2), tmp_path / name)
    file, folder = flushes
    assert file.path.parent == tmp_path and file.size == (tmp_path / name).stat().st_size
    assert folder.path == tmp_path and folder.names == {name}
