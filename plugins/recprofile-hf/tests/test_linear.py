"""Linear layers through oneDNN: what they compute is what torch computes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel

from recprofile.plugin import has_onednn
from recprofile_hf.linear import OneDnnLinear, through_onednn

pytestmark = pytest.mark.skipif(not has_onednn(), reason="this processor or torch has no linear layer of oneDNN")


@pytest.mark.parametrize("shape", [(1, 1, 48), (3, 17, 48), (5, 48), (2, 0, 48)])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_product_with_the_weights_plus_the_bias(shape: tuple[int, ...], *, bias: bool):
    torch.manual_seed(0)
    plain = nn.Linear(48, 31, bias=bias)
    x = torch.randn(shape)
    with torch.inference_mode():
        torch.testing.assert_close(OneDnnLinear(plain)(x), plain(x), atol=1e-6, rtol=1e-5)


def test_its_weights_can_be_read_as_before():
    plain = nn.Linear(48, 31)
    torch.testing.assert_close(OneDnnLinear(plain).weight, plain.weight.detach(), atol=0, rtol=0)


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "gelu_python", "relu"])
def test_an_activation_after_it_is_computed_with_it_where_it_is_gelu(activation: str):
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, hidden_act=activation
    )
    model = BertModel(config).eval()
    tokens = torch.arange(1, 31).reshape(3, 10)
    with torch.inference_mode():
        expected = model(tokens).last_hidden_state
        torch.testing.assert_close(through_onednn(model)(tokens).last_hidden_state, expected, atol=1e-5, rtol=1e-5)
    fused = [layer.intermediate.dense.after for layer in model.encoder.layer]
    assert fused == ["gelu" if activation == "gelu" else "none"] * 2


def test_layers_of_half_precision_and_of_other_kinds_stay():
    class Own(nn.Linear):
        pass

    model = nn.ModuleDict({"own": Own(4, 4), "small": nn.Linear(4, 4).half(), "inner": nn.Sequential(nn.Linear(4, 4))})
    through_onednn(model)
    assert type(model["own"]) is Own
    assert type(model["small"]) is nn.Linear
    assert isinstance(model["inner"][0], OneDnnLinear)


def test_elsewhere_a_model_stays_as_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert type(through_onednn(nn.Sequential(nn.Linear(4, 4)))[0]) is nn.Linear
