"""Every loss in plain jax, to be read and pasted: one function per row of LOSSES.

`losses NAME --code` prints the function of that name with what it uses, for jax as it
stands here, for torch and keras with the names changed (lossjax.suite.cards.paste).
A function named `NAME_image` maps raw outputs to images, NAME being the link of a row.
Only what all three libraries have is used; autodiff gives the derivatives. The losses
of the library keep more digits at large raw outputs and near a perfect picture.
"""

import math

import jax
import numpy as np
from jax import Array
from jax import numpy as jnp

# Why a loss has no code here, by name.
WITHOUT = {
    "power": "its value is a difference of incomplete beta functions, which these "
    "libraries lack; power(g=0) is excess_bce, power(g=1) half of mse",
}


def constant(values: np.ndarray, like: Array) -> Array:
    return jnp.asarray(values, like.dtype)


def blocks(raw: Array, count: int) -> Array:
    """The blocks of C channels that raw consists of, in front."""
    return jnp.moveaxis(raw.reshape(*raw.shape[:-1], count, -1), -2, 0)


def separable(down: np.ndarray, across: np.ndarray, images: Array) -> Array:
    """Weighted sums over rows and columns."""
    matrices = constant(down, images), constant(across, images)
    highest = jax.lax.Precision.HIGHEST
    return jnp.einsum("ih,jw,bhwc->bijc", *matrices, images, precision=highest)


def held(x: Array) -> Array:
    """x as a constant: no gradient flows into it."""
    return jax.lax.stop_gradient(x)


def residual(raw: Array, target: Array) -> Array:
    return jax.nn.sigmoid(raw) - target


def magnitude(x: Array) -> Array:
    """Absolute value; its slope at 0 is 0 in every library."""
    return x * jnp.sign(x)


def xlogx(x: Array) -> Array:
    return x * jnp.log(jnp.where(x > 0, x, 1.0))


def softly_above(x: Array, least: float) -> Array:
    """x far above least, least far below it, smooth between."""
    return least + jax.nn.softplus(x - least)


def bce(raw: Array, target: Array) -> Array:
    return target * jax.nn.softplus(-raw) + (1 - target) * jax.nn.softplus(raw)


def excess_bce(raw: Array, target: Array) -> Array:
    return bce(raw, target) + xlogx(target) + xlogx(1 - target)


def mse(raw: Array, target: Array) -> Array:
    return residual(raw, target) ** 2


def mae(raw: Array, target: Array) -> Array:
    return magnitude(residual(raw, target))


def huber_of(r: Array, delta: float) -> Array:
    inner = jnp.clip(r, -delta, delta)
    return inner * (r - inner / 2)


def huber(raw: Array, target: Array, delta: float) -> Array:
    return huber_of(residual(raw, target), delta)


def log_cosh(raw: Array, target: Array, scale: float) -> Array:
    x = jnp.abs(residual(raw, target)) / scale
    near = x < 1
    # Both sides of the where stay finite, or its gradient would not.
    inside = jnp.log1p(2 * jnp.sinh(jnp.where(near, x, 0.0) / 2) ** 2)
    outside = x + jnp.log1p(jnp.exp(-2 * x)) - math.log(2)
    return scale**2 * jnp.where(near, inside, outside)


def charbonnier(raw: Array, target: Array, epsilon: float) -> Array:
    r2 = residual(raw, target) ** 2
    return r2 / (jnp.sqrt(r2 + epsilon**2) + epsilon)


def barron(raw: Array, target: Array, alpha: float, scale: float) -> Array:
    x2 = (residual(raw, target) / scale) ** 2
    if alpha == 2:
        return x2 / 2
    width = abs(alpha - 2)
    inner = jnp.log1p(x2 / width) / 2
    return width * (inner if alpha == 0 else jnp.expm1(alpha * inner) / alpha)


def brier(raw: Array, target: Array) -> Array:
    return residual(raw, target) ** 2 + target * (1 - target)


def poisson(raw: Array, target: Array) -> Array:
    return jax.nn.sigmoid(raw) + target * jax.nn.softplus(-raw)


def itakura_saito(raw: Array, target: Array) -> Array:
    y = jnp.clip(target, 1 / 510, 1.0)
    return y * (1 + jnp.exp(-raw)) - jnp.log(y) - jax.nn.softplus(-raw) - 1


def over(g: float, x: Array) -> Array:
    return x if g == 0 else jnp.expm1(g * x) / g


def beta_divergence(raw: Array, target: Array, b: float) -> Array:
    y = jnp.clip(target, 1 / 510, 1.0) if b == 0 else target
    log_p, log_y = -jax.nn.softplus(-raw), jnp.log(jnp.where(y > 0, y, 1.0))
    grey = jnp.exp(b * log_y) * (over(b, log_p - log_y) - over(b - 1, log_p - log_y))
    return grey if b == 0 else jnp.where(y > 0, grey, jnp.exp(b * log_p) / b)


def focal(raw: Array, target: Array, gamma: float) -> Array:
    down, up = jax.nn.softplus(raw), jax.nn.softplus(-raw)
    black = (1 - target) * jnp.exp(-gamma * up) * down
    return target * jnp.exp(-gamma * down) * up + black


def gce(raw: Array, target: Array, q: float) -> Array:
    down, up = jax.nn.softplus(raw), jax.nn.softplus(-raw)
    return -(target * jnp.expm1(-q * up) + (1 - target) * jnp.expm1(-q * down)) / q


def mse_linear(raw: Array, target: Array) -> Array:
    return (raw - target) ** 2


def mae_linear(raw: Array, target: Array) -> Array:
    return magnitude(raw - target)


def huber_linear(raw: Array, target: Array, delta: float) -> Array:
    return huber_of(raw - target, delta)


def normal(r: Array, log_scale: Array) -> Array:
    return (r * jnp.exp(-log_scale)) ** 2 / 2 + log_scale + math.log(2 * math.pi) / 2


def gaussian(raw: Array, target: Array, sigma: float) -> Array:
    constant_part = math.log(2 * math.pi * sigma**2) / 2
    return (residual(raw, target) / sigma) ** 2 / 2 + constant_part


def gaussian_shared(raw: Array, target: Array, log_scale: Array) -> Array:
    return normal(residual(raw, target), softly_above(log_scale, -math.log(510)))


def gaussian_optimal(raw: Array, target: Array) -> Array:
    r2 = residual(raw, target) ** 2
    variance = jnp.mean(r2)
    variance = jnp.where(variance > 510**-2, variance, 510**-2)
    own = jnp.mean(r2, axis=(1, 2, 3))
    return own / (2 * variance) + jnp.log(2 * math.pi * variance) / 2


def gaussian_pixel(raw: Array, target: Array) -> Array:
    both = blocks(raw, 2)
    return normal(residual(both[0], target), softly_above(both[1], -math.log(510)))


def beta_nll(raw: Array, target: Array, beta: float) -> Array:
    both = blocks(raw, 2)
    log_scale = softly_above(both[1], -math.log(510))
    value = normal(residual(both[0], target), log_scale)
    # The likelihood's value; its gradient times the variance to the power beta.
    weight = held(jnp.exp(2 * beta * log_scale))
    return held(value) + weight * (value - held(value))


def laplace_shared(raw: Array, target: Array, log_scale: Array) -> Array:
    log_scale = softly_above(log_scale, -math.log(510))
    distance = magnitude(residual(raw, target))
    return distance * jnp.exp(-log_scale) + log_scale + math.log(2)


def student_t(raw: Array, target: Array, log_scale: Array, nu: float) -> Array:
    log_scale = softly_above(log_scale, -math.log(510))
    x = residual(raw, target) * jnp.exp(-log_scale)
    halves = math.lgamma(nu / 2) - math.lgamma((nu + 1) / 2)
    constant_part = halves + math.log(nu * math.pi) / 2
    return (nu + 1) / 2 * jnp.log1p(x**2 / nu) + log_scale + constant_part


def continuous_bernoulli(raw: Array, target: Array) -> Array:
    near = jnp.abs(raw) < 1
    z, a = jnp.where(near, raw, 0.0), jnp.where(near, 1.0, jnp.abs(raw))
    # log(sinh(z/2) / (z/2)), a removable 0 / 0 at z = 0.
    series = z**2 / 24 - z**4 / 2880 + z**6 / 181440 - z**8 / 9676800
    inside = (0.5 - target) * z + series + z**10 / 479001600
    share = jnp.where(raw > 0, 1 - target, target)
    return jnp.where(near, inside, share * a - jnp.log(a) + jnp.log1p(-jnp.exp(-a)))


def stirling_rest(x: Array, log_x: Array) -> Array:
    """lgamma(x) - (x - 1/2) log x + x - log(2 pi) / 2."""
    small = x < 4
    near, far = jnp.where(small, x, 1.0), jnp.where(small, 4.0, x)
    moved = jnp.where(small, near + 4, far)
    series = 1 / (12 * moved) - 1 / (360 * moved**3) + 1 / (1260 * moved**5)
    series = series - 1 / (1680 * moved**7)
    # From x + 1 to x the rest grows by (x + 1/2) log(1 + 1/x) - 1.
    steps = (near + 0.5) * (jnp.log1p(near) - jnp.where(small, log_x, 0.0)) - 1
    for k in (1, 2, 3):
        steps = steps + (near + k + 0.5) * jnp.log1p(1 / (near + k)) - 1
    return series + jnp.where(small, steps, 0.0)


def beta_density(raw: Array, target: Array) -> Array:
    mean, second = blocks(raw, 2)[0], blocks(raw, 2)[1]
    t = (255 * target + 0.5) / 256
    sharpest = math.log(1e4)
    softly = sharpest - softly_above(second, math.log(0.1))
    log_f = sharpest - jax.nn.softplus(softly)
    log_m, log_n = -jax.nn.softplus(-mean), -jax.nn.softplus(mean)
    f, m, n = jnp.exp(log_f), jnp.exp(log_m), jnp.exp(log_n)
    # The main terms of three lgamma, written so that they do not cancel.
    main = m * (log_m - jnp.log(t)) + n * (log_n - jnp.log(1 - t))
    rest = (
        stirling_rest(m * f, log_m + log_f)
        + stirling_rest(n * f, log_n + log_f)
        - stirling_rest(f, log_f)
    )
    spread = math.log(2 * math.pi) / 2 - (log_m + log_n + log_f) / 2
    return f * main + rest + spread + jnp.log(t) + jnp.log(1 - t)


def discretized_logistic(raw: Array, target: Array) -> Array:
    location, second = blocks(raw, 2)[0], blocks(raw, 2)[1]
    log_scale = softly_above(second, -math.log(5100))
    level = jnp.round(255 * target)
    upper, lower = (level + 0.5) / 255 - location, (level - 0.5) / 255 - location
    below = jax.nn.softplus(-upper * jnp.exp(-log_scale))
    above = jax.nn.softplus(lower * jnp.exp(-log_scale))
    # F(u) - F(l) = F(u) F(-l) (1 - exp(l - u)): no difference of numbers near 1.
    width = jnp.exp(-math.log(255) - log_scale)
    inside = below + above - jnp.log(-jnp.expm1(-width))
    return jnp.where(level == 0, below, jnp.where(level == 255, above, inside))


def categorical(raw: Array, target: Array) -> Array:
    logits = blocks(raw, 256)
    levels = constant(np.arange(256.0).reshape(256, 1, 1, 1, 1), raw)
    chosen = jnp.where(levels == jnp.round(255 * target)[None], logits, 0.0)
    return jax.nn.logsumexp(logits, axis=0) - jnp.sum(chosen, axis=0)


def gathered(places: np.ndarray, shares: np.ndarray, side: int) -> np.ndarray:
    """Matrix with shares at the places of each row, reflected at both ends."""
    around = places % (2 * side)
    matrix = np.zeros((len(places), side))
    rows = np.arange(len(places))[:, None]
    np.add.at(matrix, (rows, np.minimum(around, 2 * side - 1 - around)), shares)
    return matrix


def window(side: int) -> np.ndarray:
    """A Gaussian of 11 pixels around each pixel."""
    offsets = np.arange(-5, 6)
    shares = np.exp(-0.5 * (offsets / 1.5) ** 2)
    places = np.arange(side)[:, None] + offsets
    return gathered(places, shares / shares.sum(), side)


def halving(side: int) -> np.ndarray:
    places = np.arange(0, side, 2)[:, None] + np.arange(2)
    return gathered(places, np.full(2, 0.5), side)


def comparisons(
    difference: Array, target: Array, sides: tuple[int, int]
) -> tuple[Array, Array]:
    """1 - luminance and 1 - contrast-structure of the window around each pixel."""
    down, across = window(sides[0]), window(sides[1])
    y = target - 0.5
    maps = (difference, difference**2, (y + difference) ** 2, y, y**2)
    d, dd, xx, y, yy = (separable(down, across, one) for one in maps)
    x = y + d
    light = d * d / ((x + 0.5) ** 2 + (y + 0.5) ** 2 + 0.01**2)
    structure = (dd - d * d) / ((xx - x * x) + (yy - y * y) + 0.03**2)
    return light, structure


def dissimilarity(difference: Array, target: Array) -> Array:
    """1 - MS-SSIM with as many scales as leave a smaller side of 8 pixels."""
    sides = image_sides(target)
    count = 1
    while count < 5 and min(sides) // 2**count >= 8:
        count += 1
    powers = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])[:count]
    logs: Array | float = 0.0
    for scale, power in enumerate(powers / powers.sum()):
        if scale:
            down, across = halving(sides[0]), halving(sides[1])
            difference = separable(down, across, difference)
            target = separable(down, across, target)
            sides = (len(down), len(across))
        light, structure = comparisons(difference, target, sides)
        if scale == count - 1:
            structure = light + structure - light * structure
        value = jnp.mean(structure, axis=PIXELS)
        logs = logs + float(power) * jnp.log1p(-jnp.clip(value, -1.0, 1 - 0.5e-4))
    return jnp.mean(-jnp.expm1(logs), axis=1)


# Height and width; images are (batch, height, width, channels).
PIXELS = (1, 2)


def image_sides(images: Array) -> tuple[int, int]:
    return images.shape[PIXELS[0]], images.shape[PIXELS[1]]


def ssim(raw: Array, target: Array) -> Array:
    difference = residual(raw, target)
    light, structure = comparisons(difference, target, image_sides(target))
    return jnp.mean(light + structure - light * structure, axis=(1, 2, 3))


def ms_ssim(raw: Array, target: Array) -> Array:
    return dissimilarity(residual(raw, target), target)


def ms_ssim_l1(raw: Array, target: Array, alpha: float) -> Array:
    r = residual(raw, target)
    mean = jnp.mean(magnitude(r), axis=(1, 2, 3))
    return alpha * dissimilarity(r, target) + (1 - alpha) * mean


def sigmoid_image(raw: Array) -> Array:
    return jax.nn.sigmoid(raw)


def clip01_image(raw: Array) -> Array:
    return jnp.clip(raw, 0.0, 1.0)


def first_image(raw: Array) -> Array:
    return jax.nn.sigmoid(blocks(raw, 2)[0])


def continuous_mean_image(raw: Array) -> Array:
    near = jnp.abs(raw) < 1
    z, a = jnp.where(near, raw, 0.0), jnp.where(near, 1.0, jnp.abs(raw))
    inside = 0.5 + z / 12 - z**3 / 720 + z**5 / 30240 - z**7 / 1209600
    low = 1 / a - 1 / jnp.expm1(a)
    return jnp.where(near, inside + z**9 / 47900160, jnp.where(raw > 0, 1 - low, low))


def beta_mean_image(raw: Array) -> Array:
    return jax.nn.sigmoid(blocks(raw, 2)[0])


def logistic_mean_image(raw: Array) -> Array:
    location, second = blocks(raw, 2)[0], blocks(raw, 2)[1]
    sharp = jnp.exp(-softly_above(second, -math.log(5100)))
    edges = constant((np.arange(255.0) + 0.5).reshape(255, 1, 1, 1, 1) / 255, raw)
    below = jax.nn.sigmoid((edges - location[None]) * sharp[None])
    return 1 - jnp.mean(below, axis=0)


def categorical_mean_image(raw: Array) -> Array:
    levels = constant(np.linspace(0, 1, 256).reshape(256, 1, 1, 1, 1), raw)
    return jnp.sum(jax.nn.softmax(blocks(raw, 256), axis=0) * levels, axis=0)
