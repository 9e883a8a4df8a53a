"""The networks that are timed, and what they cost."""

import dataclasses
import types
from collections.abc import Mapping


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
    def flops(self) -> float:
        """Of one image and one step: the products of forward and backward pass.

        No gradient flows into the image, so its layer has two products, not three.
        """
        height, width, channels = self.image
        first, second = self.width
        inner = height * width // 16 * 16 * first * second
        outer = height * width // 4 * 16 * channels * first
        dense = height * width // 16 * second * self.latent_dim
        return 2.0 * (3 * (2 * inner + outer + 2 * dense) + 2 * outer)

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
