"""Modules as a user writes them; the tests of own models copy this file."""

import jax
import jax.numpy as jnp
from flax import linen, nnx


class Plain(nnx.Module):
    """Dense layers, with a code."""

    def __init__(self, image_shape, out_channels, latent_dim, *, rngs, width=8):
        height, width_, channels = image_shape
        self.image = (height, width_, out_channels)
        self.down = nnx.Linear(height * width_ * channels, width, rngs=rngs)
        self.code = nnx.Linear(width, latent_dim, rngs=rngs)
        self.up = nnx.Linear(latent_dim, width, rngs=rngs)
        self.head = nnx.Linear(width, height * width_ * out_channels, rngs=rngs)

    def encode(self, images):
        flat = images.reshape(len(images), -1)
        return self.code(nnx.relu(self.down(flat)))

    def decode(self, code):
        return self.head(nnx.relu(self.up(code))).reshape(-1, *self.image)

    def __call__(self, images):
        return self.decode(self.encode(images))


class UNet(nnx.Module):
    """Batch norm, dropout, a skip connection; no code."""

    def __init__(
        self, image_shape, out_channels, latent_dim, *, rngs, width=4, rate=0.1
    ):
        channels = image_shape[2]
        # No bias: batch norm takes it out again, and its gradient is mere rounding.
        plain = {"use_bias": False, "rngs": rngs}
        self.down = nnx.Conv(channels, width, (3, 3), strides=2, **plain)
        self.norm = nnx.BatchNorm(width, momentum=0.5, rngs=rngs)
        self.drop = nnx.Dropout(rate, rngs=rngs)
        self.up = nnx.ConvTranspose(width, width, (2, 2), strides=2, rngs=rngs)
        self.out = nnx.Conv(width + channels, out_channels, (3, 3), rngs=rngs)

    def __call__(self, images):
        hidden = self.drop(nnx.relu(self.norm(self.down(images))))
        return self.out(jnp.concatenate([self.up(hidden), images], axis=-1))


class LinenBody(linen.Module):
    """The same kind of thing in Linen."""

    outputs: int

    @linen.compact
    def __call__(self, images, train):
        hidden = linen.Conv(4, (3, 3))(images)
        hidden = linen.BatchNorm(use_running_average=not train)(hidden)
        return linen.Conv(self.outputs, (3, 3))(linen.relu(hidden))


class FromLinen(nnx.Module):
    """A Linen module inside an NNX one, through the bridge."""

    def __init__(self, image_shape, out_channels, latent_dim, *, rngs):
        self.use_running_average = False  # module.eval() sets it
        self.body = nnx.bridge.ToNNX(LinenBody(out_channels), rngs=rngs)
        self.body.lazy_init(jnp.zeros((1, *image_shape)), train=False)

    def __call__(self, images):
        train = not self.use_running_average
        return self.body(images, train=train, mutable=["batch_stats"])


class Sigmoid(Plain):
    """A link behind the head."""

    def __call__(self, images):
        return jax.nn.sigmoid(super().__call__(images))


class NoBias(UNet):
    """A head without a bias."""

    def __init__(self, image_shape, out_channels, latent_dim, *, rngs):
        super().__init__(image_shape, out_channels, latent_dim, rngs=rngs)
        width = self.out.in_features
        self.out = nnx.Conv(width, out_channels, (3, 3), use_bias=False, rngs=rngs)


class Small(UNet):
    """Raw output of half the size."""

    def __call__(self, images):
        return super().__call__(images)[:, ::2]


class Batchwise(UNet):
    """Batch norm that scores by the batch."""

    def __call__(self, images):
        self.norm.use_running_average = False
        return super().__call__(images)


class Averaging(Plain):
    """Takes the mean over the batch, and keeps nothing."""

    def __call__(self, images):
        return super().__call__(images - images.mean(axis=0, keepdims=True))


class Noisy(UNet):
    """Dropout that never rests."""

    def __call__(self, images):
        self.drop.deterministic = False
        return super().__call__(images)


class Leaving(Plain):
    """Ends the program."""

    def __call__(self, images):
        raise SystemExit("of one's own")


class Counting(UNet):
    """Keeps what was not there."""

    def __call__(self, images):
        self.mean = nnx.Variable(images.mean())
        return super().__call__(images)


class Branching(Plain):
    """A Python branch on its input."""

    def __call__(self, images):
        return super().__call__(images) if images.mean() > 0 else images


class Whole(UNet):
    """Counts its calls in an integer."""

    def __init__(self, image_shape, out_channels, latent_dim, *, rngs):
        super().__init__(image_shape, out_channels, latent_dim, rngs=rngs)
        self.calls = nnx.Variable(jnp.zeros((), jnp.int32))


class Broken(UNet):
    """Needs what it is not given."""

    def __init__(self, image_shape, out_channels, latent_dim, *, rngs):
        raise RuntimeError("no weights here")


class Other(nnx.Module):
    """Made with other arguments."""

    def __init__(self, shape, rngs):
        pass


class Flat(Plain):
    """A code of the wrong rank."""

    def encode(self, images):
        return super().encode(images)[:, None]

    def __call__(self, images):
        return self.decode(self.encode(images)[:, 0])
