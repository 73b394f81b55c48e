"""`hf/audio`: item recordings as vectors of a pretrained audio model."""

from __future__ import annotations

from typing import Literal

from recprofile.plugin import Asset, Context, Dataset, Embeddings, Encoder, Field, ItemColumn, Params
from recprofile_hf.shaping import placed


class AudioParams(Params):
    model: Asset = Field(
        min_length=1,
        description="Audio model: hub://org/model[@revision], package://distribution==version/path, or a folder.",
        examples=["hub://laion/clap-htsat-unfused"],
    )
    column: ItemColumn = Field(
        min_length=1, description="Item column with a recording each: its path, or its contents (Binary in Parquet)."
    )
    folder: Asset | None = Field(
        default=None,
        description="Folder that the paths are relative to, and which they do not leave; its contents count in the "
        "cache key. Null: the column holds contents.",
    )
    pooling: Literal["auto", "mean"] = Field(
        default="auto",
        description="How frames become one vector: their mean; auto, the space shared with text where there is one, "
        "else their mean.",
    )
    window_seconds: float = Field(
        default=10,
        ge=0.1,
        le=60,
        description="Longest stretch that the model hears at once, in seconds, 0.1 to 60, or what it takes if that is "
        "less; a longer recording is heard in windows of this length.",
    )
    max_seconds: float = Field(
        default=300,
        ge=0.1,
        le=86_400,
        description="Where a recording is cut, in seconds, 0.1 to 86400.",
    )
    batch_size: int = Field(default=8, ge=1, le=65_536, description="Most windows of a batch, 1 to 65536.")
    max_megabytes: float = Field(
        default=256, gt=0, le=4096, description="Largest file that is read, in MiB, up to 4096; others are unreadable."
    )
    centre: bool = Field(
        default=True, description="Subtract the mean vector of items with a recording and a training event."
    )
    normalise: bool = Field(default=True, description="Scale every vector to length 1, after centring.")


class Audio(Encoder[AudioParams]):
    """Item recordings as vectors of a pretrained audio model (wav2vec 2.0, HuBERT, CLAP and their kin):
    (n_items, d) float32.

    WAV is read as it is (PCM of 8 to 32 bits, and floats), other forms (FLAC, Ogg, MP3) where the package soundfile is
    installed. Channels become one by their mean, and the rate that of the model. A recording longer than the window is
    heard in as few windows as cover it, evenly spread, and its vector is the mean of theirs; within a window it is the
    mean over frames. For a model of sound and text (CLAP), `auto` gives what its `get_audio_features` gives: the space
    in which it compares them. Windows of one length go through the model together, so that nothing is padded and a
    vector does not hang on its company. Each different recording, by its contents, is encoded once, and where the
    engine lends a folder, kept there.

    An item without a recording is missing (a zero row), and so is one whose recording cannot be read: no file, broken,
    too large, without samples, or in a form for which soundfile is needed. They are counted, the first three named.

    Raises DataError RP505 when no item has a recording that can be read, RP503 for a column of another type or of paths
    without `folder`, RunError RP605 when the folder holds no audio model that can be loaded from safetensors, and RP604
    when one window does not fit into memory.

    Source: Baevski et al. 2020, "wav2vec 2.0"; Hsu et al. 2021, "HuBERT"; Wu et al. 2023, "Large-scale contrastive
    language-audio pretraining" (CLAP).
    """

    name = "audio"
    needs_items = True

    def encode(self, data: Dataset, ctx: Context) -> Embeddings:
        p = self.params

        from recprofile_hf.audio_model import audio_model
        from recprofile_hf.media import Settings, vectors_of

        settings = Settings(
            model=p.model,
            column=p.column,
            folder=p.folder,
            component="audio",
            one="recording",
            batch=p.batch_size,
            max_bytes=int(p.max_megabytes * 2**20),
            about={"pooling": p.pooling, "window": p.window_seconds, "cut": p.max_seconds},
        )
        loads = audio_model(p.pooling, window=p.window_seconds, longest=p.max_seconds)
        found = vectors_of(data, settings, loads, ctx)
        cut = int((found.encodings.tokens > found.encodings.used).sum())
        if cut:
            told = f"after {p.max_seconds:g} seconds ('max_seconds: {p.max_seconds:g}')"
            ctx.warn(f"{cut} of {len(found.encodings.used)} different recordings were cut {told}")
        vectors = placed(found.vectors, found.there, data, centre=p.centre, normalise=p.normalise)
        return Embeddings("item", data.items.ids, vectors, ~found.there)
