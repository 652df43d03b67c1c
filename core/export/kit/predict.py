"""What does the model see in these photos?

    python predict.py PHOTO...

Prints a line a photo: path, label and probability (0 to 1), parted by tabs.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pi_heif
from PIL import Image

HERE = Path(__file__).resolve().parent
SETTINGS = json.loads((HERE / "model.json").read_text("utf-8"))
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "HEIF")
UPRIGHT = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # EXIF orientation to PIL.Image.Transpose

pi_heif.register_heif_opener(decode_threads=1, thumbnails=False)
Image.MAX_IMAGE_PIXELS = 75_000_000  # Pillow refuses twice as many
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


def load(model):
    """Return a function from pixels, uint8 RGB (height, width, 3), to the probabilities of the labels."""
    if model.suffix == ".tflite":
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            import tensorflow as tf

            Interpreter = tf.lite.Interpreter
        interpreter = Interpreter(str(model))
        interpreter.allocate_tensors()
        enter, leave = (
            interpreter.get_input_details()[0]["index"],
            interpreter.get_output_details()[0]["index"],
        )

        def run(pixels):
            interpreter.set_tensor(enter, pixels[None])
            interpreter.invoke()
            return interpreter.get_tensor(leave)[0].copy()

        return run
    if model.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda pixels: session.run(None, {name: pixels[None]})[0][0]
    if model.suffix == ".keras":
        import keras

        network = keras.models.load_model(model)
        return lambda pixels: network.predict_on_batch(pixels[None])[0]
    import tensorflow as tf

    saved = tf.saved_model.load(str(model))
    return lambda pixels: saved.serve(pixels[None]).numpy()[0]


def decode(file):
    """Return a photo as the model was trained to see it: upright, RGB, on white, at its size."""
    with Image.open(file, formats=FORMATS) as image:
        full_size = image.size
        if image.format in ("JPEG", "MPO"):
            image.draft(None, twice_needed(full_size, orientation(image)))
        image.load()
        turn = orientation(image)
        width, height = twice_needed(full_size, turn)
        factor = max(1, min(image.width // width, image.height // height))
        picture = to_rgb(image)
    if factor > 1:
        picture = picture.reduce(factor)
    if turn in UPRIGHT:
        picture = picture.transpose(UPRIGHT[turn])
    return np.asarray(fit(picture), dtype=np.uint8)


def orientation(image):
    try:
        return 1 if image.format == "TIFF" else image.getexif().get(0x0112, 1)
    except Exception:  # damaged metadata; the picture may be fine
        return 1


def to_rgb(image):
    if image.mode.startswith("I;16"):
        return grey(image, 0, 65535)
    if image.mode in ("I", "F"):
        return grey(image, *np.nan_to_num(np.asarray(image.getextrema(), dtype=np.float64)).tolist())
    if not image.has_transparency_data:
        return image.convert("RGB")
    picture = image.convert("RGBA")
    white = Image.new("RGB", picture.size, (255, 255, 255))
    white.paste(picture, mask=picture.getchannel("A"))
    return white


def grey(image, low, high):
    values = (np.nan_to_num(np.asarray(image, dtype=np.float64)) - low) * (255.0 / ((high - low) or 1.0))
    return Image.fromarray(np.rint(np.clip(values, 0, 255)).astype(np.uint8)).convert("RGB")


def scaled(size):
    """Return the width and height to which the resize rule brings a whole picture."""
    height, width = SETTINGS["image_size"]
    if SETTINGS["resize"] == "stretch":
        return width, height
    ratios = (width / size[0], height / size[1])
    scale = max(ratios) / 0.875 if SETTINGS["resize"] == "crop" else min(ratios)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def twice_needed(size, turn):
    """Return how many pixels of a picture as stored are enough: twice those it is resized to."""
    is_sideways = turn in (5, 6, 7, 8)
    width, height = scaled(size[::-1] if is_sideways else size)
    return (2 * height, 2 * width) if is_sideways else (2 * width, 2 * height)


def fit(picture):
    height, width = SETTINGS["image_size"]
    bilinear = Image.Resampling.BILINEAR
    if SETTINGS["resize"] == "stretch":
        return picture.resize((width, height), bilinear)
    if SETTINGS["resize"] == "pad":
        inner = picture.resize(scaled(picture.size), bilinear)
        canvas = Image.new("RGB", (width, height), (127, 127, 127))
        canvas.paste(inner, ((width - inner.width) // 2, (height - inner.height) // 2))
        return canvas
    scale = 0.875 * min(picture.width / width, picture.height / height)
    left, top = (picture.width - width * scale) / 2, (picture.height - height * scale) / 2
    box = (left, top, left + width * scale, top + height * scale)
    return picture.resize((width, height), bilinear, box=box)


def printable(name):
    """Return a name that stays on its line and in its column: control characters and odd bytes escaped."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in name)


def main(paths):
    if not paths:
        sys.exit(__doc__)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # a terminal may lack letters that names have
    model, num_bad = load(HERE / SETTINGS["model"]), 0
    for path in paths:
        try:
            probabilities = model(decode(path))
        except Exception as error:
            print(f"{printable(path)}\tcannot be read as a photo: {error}", file=sys.stderr)
            num_bad += 1
            continue
        best = int(probabilities.argmax())
        label = " ".join(SETTINGS["labels"][best].split())
        print(printable(path), label, f"{probabilities[best]:.4f}", sep="\t")
    return 1 if num_bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
