"""Item texts through all-MiniLM-L6-v2: from texts and the model's folder to vectors of length 1.

Every side computes in float32, in a second row in bfloat16, and loads the model within its time, as a run does. A
sample of the texts is encoded, for time is in proportion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.speed.case import Case, model_folder
from benchmarks.speed.measure import Bound, Contest, Side, Timed
from benchmarks.speed.same import same_directions

if TYPE_CHECKING:
    from recprofile.artifacts import FloatArray

MOST = 2_000  # texts
FEW = 96  # of them, for what pads them all to 256 tokens
TOKENS = 1_024  # of a batch


def contests(case: Case) -> Iterator[Contest]:
    """One row."""
    n = min(MOST, len(case.texts))
    texts = case.texts[:n]
    folder = model_folder()
    few = texts[:FEW]
    yield Contest(
        f"encode {n:,} texts",
        Side("recprofile", lambda: ours(case, n)),
        [
            Side("ONNX Runtime, sorted", lambda: onnxruntime(texts, folder, case.folder.parent)),
            Side("OpenVINO, sorted", lambda: openvino(texts, folder, case.folder.parent, "f32")),
            Side("torch, sorted", lambda: torch_sorted(texts, folder)),
            Side("sentence-transformers", lambda: sentence_transformers(texts, folder)),
            Side("torch, padded to 256", lambda: padded(few, folder), rounds=1, share=len(few) / n),
        ],
        same_directions,
        lambda: Bound(flops=model_flops(texts, folder)),
    )
    if multiplies_bf16():
        yield Contest(
            f"encode {n:,} texts in bfloat16",
            Side("recprofile", lambda: ours(case, n, precision="bf16")),
            [Side("OpenVINO, sorted", lambda: openvino(texts, folder, case.folder.parent, "bf16"))],
            lambda mine, theirs: same_directions(mine, theirs, least=0.9995),
            lambda: Bound(flops=model_flops(texts, folder)),
        )


def multiplies_bf16() -> bool:
    """Whether this processor does; no library is quicker with it elsewhere."""
    from recprofile_hf.networks import multiplies_bf16 as it_does

    return it_does()


def ours(case: Case, n: int, **params: Any) -> Timed:
    """The component, without a folder in which vectors are kept."""
    from recprofile.plugin import Context
    from recprofile_hf import Text, TextParams

    first = np.zeros(case.data.n_items, np.bool_)
    first[:n] = True
    few = case.data.keep(items=first)
    text = Text(TextParams(model=str(model_folder()), columns=("text",), centre=False, **params))
    return lambda: text.encode(few, Context()).vectors


def onnxruntime(texts: list[str], folder: Path, root: Path) -> Timed:
    """The model exported once, off the clock; batches of texts of similar length."""
    import onnxruntime
    from transformers import AutoTokenizer

    file = exported(folder, root)

    def run() -> FloatArray:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

        def hidden(ids: Any, mask: Any) -> Any:  # noqa: ANN401 - numpy in and out
            return session.run(None, {"input_ids": ids, "attention_mask": mask})[0]

        return sorted_batches(texts, tokenizer, hidden)

    return run


def openvino(texts: list[str], folder: Path, root: Path, precision: str) -> Timed:
    """The same graph in OpenVINO, which takes bfloat16 by itself where the processor multiplies it."""
    import openvino
    from transformers import AutoTokenizer

    from recprofile.threads import threads

    file = exported(folder, root)
    asked = {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads(),
    }

    def run() -> FloatArray:
        tokenizer, core = AutoTokenizer.from_pretrained(folder), openvino.Core()
        request = core.compile_model(core.read_model(file), "CPU", asked).create_infer_request()
        return sorted_batches(
            texts, tokenizer, lambda ids, mask: request.infer({"input_ids": ids, "attention_mask": mask})[0]
        )

    return run


def torch_sorted(texts: list[str], folder: Path) -> Timed:
    """What a careful user of transformers writes."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    def run() -> FloatArray:
        tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()

        def hidden(ids: Any, mask: Any) -> Any:  # noqa: ANN401 - numpy in and out
            with torch.inference_mode():
                given = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
                return model(**given).last_hidden_state.numpy()

        return sorted_batches(texts, tokenizer, hidden)

    return run


def sentence_transformers(texts: list[str], folder: Path) -> Timed:
    """As its manual has it: batches of 32."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer

    def run() -> FloatArray:
        transformer = Transformer(str(folder))
        pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
        model = SentenceTransformer(modules=[transformer, pooling], device="cpu")
        return model.encode(texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False)

    return run


def padded(texts: list[str], folder: Path) -> Timed:
    """As tutorials have it: batches of 32 in the order of the table, all padded to 256 tokens."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()

    def run() -> FloatArray:
        parts = []
        for at in range(0, len(texts), 32):
            batch = texts[at : at + 32]
            given = tokenizer(batch, padding="max_length", max_length=256, truncation=True, return_tensors="pt")
            with torch.inference_mode():
                hidden = model(**given).last_hidden_state.numpy()
            parts.append(_pooled(hidden, given["attention_mask"].numpy()))
        return np.concatenate(parts)

    return run


def sorted_batches(texts: list[str], tokenizer: Any, hidden: Callable[[Any, Any], Any]) -> FloatArray:  # noqa: ANN401
    """Vectors by `hidden(ids, mask)`, tokenised at once, the longest first, about TOKENS tokens a batch."""
    tokens = tokenizer(texts, truncation=True, max_length=256, return_attention_mask=False)["input_ids"]
    order = sorted(range(len(texts)), key=lambda row: -len(tokens[row]))
    vectors, at = None, 0
    while at < len(order):
        longest = len(tokens[order[at]])
        rows = order[at : at + max(1, TOKENS // longest)]
        ids, mask = np.zeros((len(rows), longest), np.int64), np.zeros((len(rows), longest), np.int64)
        for line, row in enumerate(rows):
            ids[line, : len(tokens[row])], mask[line, : len(tokens[row])] = tokens[row], 1
        found = _pooled(hidden(ids, mask), mask)
        vectors = np.zeros((len(texts), found.shape[1]), np.float32) if vectors is None else vectors
        vectors[rows] = found
        at += len(rows)
    assert vectors is not None
    return vectors


def _pooled(hidden: Any, mask: Any) -> FloatArray:  # noqa: ANN401 - numpy
    """The mean over a text's own tokens, of length 1."""
    mean = np.einsum("btd,bt->bd", hidden, mask.astype(np.float32)) / mask.sum(axis=1, keepdims=True)
    vectors: FloatArray = (mean / np.linalg.norm(mean, axis=1, keepdims=True)).astype(np.float32)
    return vectors


def exported(folder: Path, root: Path) -> str:
    """The model as ONNX, exported once."""
    file = root / "onnx" / "model.onnx"
    if not file.is_file():
        import torch
        from transformers import AutoModel

        class Hidden(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

            def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
                out: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
                return out

        file.parent.mkdir(parents=True, exist_ok=True)
        given = (torch.ones(2, 8, dtype=torch.int64), torch.ones(2, 8, dtype=torch.int64))
        batch, length = torch.export.Dim("batch", min=1, max=4096), torch.export.Dim("length", min=2, max=512)
        shapes = {"input_ids": {0: batch, 1: length}, "attention_mask": {0: batch, 1: length}}
        program = torch.onnx.export(Hidden(), given, dynamo=True, dynamic_shapes=shapes, verbose=False)
        assert program is not None
        program.save(file.with_suffix(".new"))
        file.with_suffix(".new").rename(file)
    return str(file)


@cache
def _configured(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoTokenizer

    return AutoConfig.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def model_flops(texts: list[str], folder: Path) -> float:
    """Multiplications and additions of the model for the texts' own tokens, padding not counted."""
    config, tokenizer = _configured(folder)
    lengths = np.fromiter(map(len, tokenizer(texts, truncation=True, max_length=256)["input_ids"]), np.float64)
    d, wide = config.hidden_size, config.intermediate_size
    weights = 2 * (4 * d * d + 2 * d * wide) * lengths.sum()  # projections and the two dense layers
    attention = 2 * 2 * d * (lengths**2).sum()
    return float(config.num_hidden_layers * (weights + attention))
