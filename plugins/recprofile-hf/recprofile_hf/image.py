"""`hf/image`: item pictures as vectors of a pretrained vision model."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from recprofile.plugin import Asset, Context, Dataset, Embeddings, Encoder, Field, ItemColumn, Params, RunError
from recprofile_hf.shaping import placed


class ImageParams(Params):
    model: Asset = Field(
        min_length=1,
        description="Vision model: hub://org/model[@revision], package://distribution==version/path, or a folder.",
        examples=["hub://openai/clip-vit-base-patch32"],
    )
    column: ItemColumn = Field(
        min_length=1, description="Item column with a picture each: its path, or its contents (Binary in Parquet)."
    )
    folder: Asset | None = Field(
        default=None,
        description="Folder that the paths are relative to, and which they do not leave; its contents count in the "
        "cache key. Null: the column holds contents.",
    )
    pooling: Literal["auto", "cls", "mean", "pooler"] = Field(
        default="auto",
        description="How patches become one vector: cls, the first token; mean, of the patches; pooler, the model's "
        "own; auto, the space shared with text where there is one, else pooler, cls or mean, the first it has.",
    )
    batch_size: int = Field(default=32, ge=1, le=65_536, description="Most pictures of a batch, 1 to 65536.")
    max_megabytes: float = Field(
        default=64, gt=0, le=4096, description="Largest file that is read, in MiB, up to 4096; others are unreadable."
    )
    max_megapixels: float = Field(
        default=64,
        gt=0,
        le=1024,
        description="Largest picture that is unpacked, in millions of pixels, up to 1024; others are unreadable.",
    )
    centre: bool = Field(
        default=True, description="Subtract the mean vector of items with a picture and a training event."
    )
    normalise: bool = Field(default=True, description="Scale every vector to length 1, after centring.")


class Image(Encoder[ImageParams]):
    """Item pictures as vectors of a pretrained vision model (CLIP, SigLIP, ViT, DINOv2 and their kin):
    (n_items, d) float32.

    Each different picture, by its contents, is encoded once. It is turned upright as its EXIF says, transparency
    becomes white, CMYK and grey become RGB, 16 bits become 8, of an animation the first frame counts; then the model's
    own processor scales it. For a model of pictures and text (CLIP, SigLIP), `auto` gives what its `get_image_features`
    gives: the space in which it compares them. Where the engine lends a folder, a picture's vector is kept there by
    its SHA-256, so that a grown catalogue encodes its new pictures only.

    An item without a picture is missing (a zero row), and so is one whose picture cannot be read: no file, broken,
    larger than the limits, or over 100 times as long as wide. They are counted, the first three named. Nothing is
    fetched from an address, and no code of a model is run.

    Raises DataError RP505 when no item has a picture that can be read, RP503 for a column of another type or of paths
    without `folder`, RunError RP605 when the folder holds no vision model that can be loaded from safetensors or
    `pooling` is nothing that it has, RP604 when one picture does not fit into memory, and RP601 without Pillow.

    Source: Radford et al. 2021, "Learning transferable visual models from natural language supervision" (CLIP);
    Dosovitskiy et al. 2021, "An image is worth 16x16 words" (ViT); Oquab et al. 2024, "DINOv2".
    """

    name = "image"
    needs_items = True

    def encode(self, data: Dataset, ctx: Context) -> Embeddings:
        p = self.params
        if find_spec("PIL") is None:
            message = "'hf/image' needs Pillow, which this Python does not have"
            raise RunError.of("RP601", message, help=("pip install 'recprofile-hf[image]'",))

        from recprofile_hf.image_model import image_model
        from recprofile_hf.media import Settings, vectors_of

        settings = Settings(
            model=p.model,
            column=p.column,
            folder=p.folder,
            component="image",
            one="image",
            batch=p.batch_size,
            max_bytes=int(p.max_megabytes * 2**20),
            about={"pooling": p.pooling},
        )
        found = vectors_of(data, settings, image_model(p.pooling, max_pixels=int(p.max_megapixels * 1e6)), ctx)
        vectors = placed(found.vectors, found.there, data, centre=p.centre, normalise=p.normalise)
        return Embeddings("item", data.items.ids, vectors, ~found.there)
