"""The networks that are timed, and what they cost."""

import dataclasses
import types
from collections.abc import Mapping

from lossjax.suite.cli.errors import unknown


@dataclasses.dataclass(frozen=True)
class Product:
    """A kernel (inputs, outputs) over `places` of an image, and its gradients.

    `backwards` is how many of the two gradients are wanted, the kernel's first.
    """

    inputs: int
    outputs: int
    places: int
    backwards: int = 2

    @property
    def flops(self) -> int:
        """Of one image: all products of this kernel."""
        return 2 * self.inputs * self.outputs * self.places * (1 + self.backwards)


@dataclasses.dataclass(frozen=True)
class Work:
    """A convolutional autoencoder and how it is trained, the same on both sides.

    Attributes:
      image: (height, width, channels); sides are multiples of 4.
      width: channels of the two 4x4 convolutions of stride 2.
      latent_dim: size of the code.
      batch: images a step.
      replicas: runs side by side.
      images: training images, uint8: as many as MNIST, CIFAR-10 and the digits have.
        PyTorch's allocator is faster after smaller arrays were freed.
    """

    image: tuple[int, int, int]
    width: tuple[int, int]
    latent_dim: int
    batch: int
    replicas: int
    images: int

    @property
    def products(self) -> tuple[Product, ...]:
        """The matrix products of a step, layer by layer."""
        height, width, channels = self.image
        first, second = self.width
        middle, coarse = height * width // 4, height * width // 16
        return (
            # No gradient flows into the image.
            Product(16 * channels, first, middle, backwards=1),
            Product(16 * first, second, coarse),
            Product(coarse * second, self.latent_dim, 1),
            Product(self.latent_dim, coarse * second, 1),
            Product(second, 16 * first, coarse),
            Product(first, 16 * channels, middle),
        )

    @property
    def flops(self) -> float:
        """Of one image and one step: the products of forward and backward pass."""
        return float(sum(product.flops for product in self.products))

    @property
    def parameters(self) -> int:
        """Weights of the network, biases among them."""
        height, width, channels = self.image
        first, second = self.width
        coarse = height * width // 16 * second
        kernels = 2 * 16 * (channels * first + first * second)
        dense = 2 * coarse * self.latent_dim + coarse + self.latent_dim
        return kernels + dense + 2 * first + second + channels


WORKS: Mapping[str, Work] = types.MappingProxyType(
    {
        "one 28x28": Work((28, 28, 1), (32, 64), 32, 128, 1, 55_000),
        "two 28x28": Work((28, 28, 1), (32, 64), 32, 128, 2, 55_000),
        "one 32x32 colour": Work((32, 32, 3), (32, 64), 32, 128, 1, 45_000),
        "two 32x32 colour": Work((32, 32, 3), (32, 64), 32, 128, 2, 45_000),
        "32 digits": Work((8, 8, 1), (16, 32), 8, 64, 32, 1_197),
    }
)


def asked(name: str) -> Work:
    """The work of that name; UserError where there is none."""
    if name not in WORKS:
        raise unknown("work", name, WORKS)
    return WORKS[name]
