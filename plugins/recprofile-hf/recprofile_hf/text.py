"""`hf/text`: item text as vectors of a pretrained language model."""

from __future__ import annotations

from recprofile.plugin import Context, Dataset, Embeddings, Encoder
from recprofile_hf.params import EncoderParams
from recprofile_hf.texts import item_texts, prefixed, say_what_is_missing, shape_of, vectors_of


class TextParams(EncoderParams):
    """Those of every text encoder."""


class Text(Encoder[TextParams]):
    """Item text as vectors of a pretrained language model: (n_items, d) float32, d the model's width, or `dim`.

    The model is any of transformers' encoders (BERT, RoBERTa, MiniLM, E5, BGE, T5's), or a decoder with pooling by
    mean or last token, from a folder with safetensors or with one GGUF file (extra `gguf`). Each different text is
    encoded once, in batches of texts of similar length; a token's vector is the model's last layer, pooled over the
    text's own tokens, never over padding. An item without text is missing (a zero row), and so is one of which the
    tokenizer keeps nothing. Where the engine lends a folder, a text's vector is kept there, so that a grown catalogue
    encodes its new texts only.

    A text of more than `max_tokens` is cut; with `long: chunks` it is read in windows of so many tokens, each with the
    model's special tokens and `overlap` tokens of the one before, and its vector is the mean of theirs weighted by
    tokens. The report counts both.

    Raw vectors share a large common part, which hides what differs: without `centre`, profiles averaged from them rank
    poorly. `whiten` goes on: x ↦ (x − m)·C^(−1/2), m and C being mean and covariance, C drawn to a multiple of the
    identity by `shrinkage`. With `dim`, x ↦ (x − m)·U, U being C's leading eigenvectors, each with its largest entry
    positive, and with both U's columns are divided by the square roots of their eigenvalues. All that is learnt from
    items with a training event, so that a new item changes no other one's vector.

    The same texts give the same vectors on one device; in other company, padded to another length, they may differ in
    the last digits (1e-6). Torch in fp32 is the reference. Another backend, which runs the model exported to ONNX, and
    bf16 on a processor are held against it on up to 256 texts, from the shortest to the longest: the report tells the
    mean and worst cosine and the share of the 10 nearest neighbours that stay. `int8` quantises weights to 7 bits per
    column, and activations per batch, so that a vector hangs on its company by as much as that agreement leaves.

    Raises DataError RP505 when no item has text, RunError RP605 when the folder holds no model that can be loaded from
    safetensors or GGUF without running its code, or exported, RP604 when one text alone does not fit into memory, RP603
    for a precision, a backend or a number of devices that is not there, and RP601 when a backend's or GGUF's package is
    missing or the worst cosine is under .999 (bf16: .99, int8: .95).

    Source: masked mean pooling of Reimers & Gurevych 2019, "Sentence-BERT"; last-token pooling of Wang et al. 2024,
    "Improving Text Embeddings with Large Language Models"; centring of Mu & Viswanath 2018, "All-but-the-top" (its
    first step); whitening and its `dim` of Su et al. 2021, "Whitening Sentence Representations for Better Semantics
    and Faster Retrieval"; shrinkage of Ledoit & Wolf 2004, "A Well-Conditioned Estimator for Large-Dimensional
    Covariance Matrices".
    """

    name = "text"
    needs_items = True

    def encode(self, data: Dataset, ctx: Context) -> Embeddings:
        p = self.params
        texts = item_texts(data, p)
        vectors, there = vectors_of(prefixed(texts, p.prefix), p, ctx)
        say_what_is_missing(~there, p, ctx)
        shape = shape_of(vectors, there, data, p, ctx)
        return Embeddings("item", data.items.ids, shape.of(vectors, there, normalise=p.normalise), ~there)
