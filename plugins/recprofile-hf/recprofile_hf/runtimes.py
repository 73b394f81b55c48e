"""Other programs than torch that run a model's layers on the CPU: ONNX Runtime and OpenVINO, from one ONNX graph."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from recprofile.plugin import BoolArray, FloatArray, RunError

if TYPE_CHECKING:
    from recprofile_hf.networks import Network, Tokens

EXPORT = ("onnx", "onnxscript")
PACKAGES = {"onnx": ("onnxruntime", *EXPORT), "openvino": ("openvino", *EXPORT)}


def versions_of(backend: str) -> dict[str, str]:
    """The versions of what a backend needs; RunError RP601 when some of it is not installed."""
    found, missing = {}, []
    for name in PACKAGES[backend]:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        message = f"'backend: {backend}' needs {' and '.join(missing)}, which this Python does not have"
        raise RunError.of("RP601", message, help=(f"pip install 'recprofile-hf[{backend}]'",))
    return found


def runtime(backend: str, graph: Path, *, pooling: str, threads: int) -> Network:
    """The graph in the program that `backend` names, on so many threads."""
    kind = OnnxNetwork if backend == "onnx" else OpenVinoNetwork
    return kind(graph, pooling=pooling, threads=threads)


class OnnxNetwork:
    """A graph in ONNX Runtime."""

    def __init__(self, graph: Path, *, pooling: str, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors, which are raised besides
        self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.pooling = pooling

    def __call__(self, tokens_bt: Tokens, inside_bt: BoolArray) -> FloatArray:
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, RuntimeException

        inputs = {"input_ids": tokens_bt, "attention_mask": inside_bt.astype(tokens_bt.dtype)}
        try:
            (hidden,) = self.session.run(None, inputs)
        except (Fail, RuntimeException) as error:  # a full memory among them; they are no RuntimeErrors
            raise RuntimeError(str(error)) from error
        return _pooled(hidden, inside_bt, self.pooling)


class OpenVinoNetwork:
    """A graph in OpenVINO, held to float32: left to itself, it takes bfloat16 where the processor has it."""

    def __init__(self, graph: Path, *, pooling: str, threads: int) -> None:
        import openvino

        asked = {
            "INFERENCE_PRECISION_HINT": "f32",
            "EXECUTION_MODE_HINT": "ACCURACY",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
        }
        core = openvino.Core()
        self.request = core.compile_model(core.read_model(graph), "CPU", asked).create_infer_request()
        self.pooling = pooling

    def __call__(self, tokens_bt: Tokens, inside_bt: BoolArray) -> FloatArray:
        inputs = {"input_ids": tokens_bt, "attention_mask": inside_bt.astype(tokens_bt.dtype)}
        return _pooled(self.request.infer(inputs)[0], inside_bt, self.pooling)


def _pooled(hidden_btd: FloatArray, inside_bt: BoolArray, how: str) -> FloatArray:
    import torch

    from recprofile_hf.networks import pool

    return pool(torch.from_numpy(hidden_btd), torch.from_numpy(inside_bt), how).numpy()
