"""Answers to what practitioners ask; as `answers`, without a typed number."""

from collections.abc import Sequence

from lossjax.suite.reproduce.answers import (
    ASYMMETRY,
    BCE,
    ENTROPY,
    FLOOR,
    JUDGES,
    KNOB,
    LEAST,
    LINEAR,
    LOGISTIC,
    MSE,
    PERFECT,
    PULL,
    RANKING,
    SHARED,
    SHARPNESS,
    SQUARED,
    SSIM,
    SUMMED,
    WORSE,
    floor,
    listed,
)
from lossjax.suite.reproduce.claim import Answer, Book


def targets(book: Book) -> Answer:
    answer = floor(book)
    slope = book.holds("gradients", f"{BCE}: dL/dz against algebra")
    return Answer(
        "false: any target from 0 to 1 will do" if slope else "not shown",
        "The gradient in the logit is p - y for every target in [0, 1], grey or not: "
        "it pushes towards the grey level and is 0 there. " + answer.words,
        FLOOR,
    )


def perfect(book: Book) -> Answer:
    perfect = book.number("bce_floor", PERFECT, 5)
    worse = book.number("bce_floor", WORSE, 5)
    right = book.holds("bce_floor", PERFECT, WORSE)
    return Answer(
        "nothing is wrong" if right else "the numbers of the question differ",
        f"Four grey pixels predicted perfectly score {perfect}: that is their entropy, "
        f"the floor. A worse prediction scores more, {worse}. Look at the loss minus "
        "the floor of your own images.",
        FLOOR,
    )


def asymmetric(book: Book) -> Answer:
    ratio = book.number("bce_floor", ASYMMETRY)
    right = book.holds("bce_floor", SHARED)
    return Answer(
        "no: the minimum does not move" if right else "yes",
        f"For a target of one fifth, too dark by a tenth costs {ratio} times what too "
        "light by a tenth costs, because the same step is larger in odds. Both are "
        "above the same minimum, at the target itself. The figures in the original "
        "question contain an arithmetic slip.",
        FLOOR,
    )


def ae_or_vae(book: Book) -> Answer:
    ratio = book.said("matched_scale", SUMMED)
    alike = {BCE, MSE} <= set(book.best_set("digits", MSE))
    return Answer(
        "custom, not necessity; in a VAE it changes the model"
        if alike
        else "the choice matters in both",
        "In a plain autoencoder on the digits BCE and MSE share the best set by "
        "squared error. In a VAE the loss also sets the noise scale, and so how much "
        f"the code may say: with BCE it carries {ratio} times the nats of summed "
        "squared error.",
        "matched_scale/matched_scale.svg",
    )


def replaced(book: Book) -> Answer:
    shared, apart = told_apart(book, JUDGES)
    ratio = book.said("matched_scale", SUMMED)
    return Answer(
        "true for an autoencoder judged by squared error, false for a VAE"
        if MSE in shared
        else "false",
        "On the digits BCE and MSE are statistically tied by "
        f"{listed(shared) or 'none'}; "
        f"they differ by {listed(apart) if apart else 'no other metric'}. In a VAE "
        f"the same swap changes the KL of the code by a factor of {ratio}.",
        RANKING,
    )


def told_apart(book: Book, metrics: Sequence[str]) -> tuple[list[str], list[str]]:
    """Metrics that cannot tell BCE from MSE on the digits, and those that can."""
    alike = [m for m in metrics if book.together("digits", m, BCE, MSE)]
    return alike, [m for m in metrics if m not in alike]


def reduction(book: Book) -> Answer:
    said = {
        loss: book.said("matched_scale", f"{loss}: KL with a mean over pixels")
        for loss in (BCE, MSE)
    }
    right = book.holds(
        "matched_scale", *(f"{loss}: KL with a mean over pixels" for loss in said)
    )
    return Answer(
        "sum over pixels, or the code collapses" if right else "no difference seen",
        "A mean over pixels beside a KL summed over the code divides the weight of "
        "the picture by the number of pixels. KL in nats with the mean, then with the "
        f"sum: {said[BCE]} for BCE; {said[MSE]} for squared error. In an autoencoder "
        "without KL the two differ by a constant factor, which Adam does not see.",
        "matched_scale/matched_scale.svg",
    )


def weight(book: Book) -> Answer:
    answer = reduction(book)
    own = book.number("matched_scale", PULL, 2)
    return Answer(
        "a noise scale under another name",
        "A weight on the KL and a factor on the squared error only enter as their "
        "ratio, and that ratio is a variance: c times summed squared error plus beta "
        "times KL is a Gaussian decoder of variance beta / (c + c). So kld_weight and "
        "batch / dataset factors are no correction of a bias: they say how noisy "
        f"pixels are. BCE pulls like a standard deviation of {own}. " + answer.words,
        "matched_scale/matched_scale.svg",
    )


def negative(book: Book) -> Answer:
    slope = book.said("bce_practice", "a target of 1.2: slope where z is large")
    floor = book.number("cb_panels", "floor of y = 0.1, nats")
    right = book.holds("bce_practice", "targets in [0, 1]: least value seen")
    return Answer(
        "depends on the loss: an error with BCE, fine with a density"
        if right
        else "not shown",
        "BCE of targets in [0, 1] is never negative. Targets out of that range make "
        "it unbounded: for a target a fifth above white the loss changes by "
        f"{slope} of the logit, without end. Rescale the images. A density, such as "
        "the Gaussian or the continuous Bernoulli, may rightly be above one and its "
        f"negative log below 0: a dark pixel's floor in the latter is {floor} nats.",
        "bce_practice/bce_practice.svg",
    )


def not_a_number(book: Book) -> Answer:
    first = book.number(
        "bce_practice",
        "sigmoid first: the logit from which the loss is infinite, float32",
        4,
    )
    cap = book.number(
        "bce_practice", "clip at 1e-7: the most that the loss can say, y = 0", 4
    )
    stuck = book.number(
        "bce_practice", "clip at 1e-7: logit from which the gradient is 0", 4
    )
    return Answer(
        "a sigmoid before the log: use the logit form",
        f"In float32 a sigmoid is exactly one from a logit of {first} on, and the log "
        "of what is left is infinite. A clip hides that: the loss then says at most "
        f"{cap} and its gradient is 0 from {stuck} on, so a wrong pixel is never "
        "corrected, nor is a missing sigmoid noticed. From logits nothing overflows.",
        "bce_practice/bce_practice.svg",
    )


def tanh_outputs(book: Book) -> Answer:
    same = "log cosh z - y z is bce of (y + 1)/2 at 2z, less log 2"
    far = book.number("bce_practice", "a target of -1: loss at z = -40, nats", 2)
    right = book.holds("bce_practice", same)
    return Answer(
        "rescale to [0, 1]; it is the same loss" if right else "not shown",
        "A tanh output is a sigmoid of twice the logit, stretched. The loss that fits "
        "it is log cosh z - y z, which is BCE of the rescaled target up to a constant. "
        "BCE on targets in [-1, 1] as they are has no minimum: it falls to "
        f"{far} and on.",
        "bce_practice/bce_practice.svg",
    )


def accuracy(book: Book) -> Answer:
    best = book.number(
        "pixel_accuracy", "accuracy of a perfect reconstruction of MNIST, per cent", 4
    )
    black = book.number(
        "pixel_accuracy", "accuracy of an all-black picture on MNIST, per cent", 4
    )
    ceiling = "a perfect picture scores the share of pixels at 0 or 255"
    return Answer(
        "the number is meaningless: that is its ceiling"
        if book.holds("pixel_accuracy", ceiling)
        else "not shown",
        "Accuracy counts pixels whose rounded prediction equals the target, and a grey "
        f"target equals neither 0 nor 1. A perfect picture of MNIST scores {best} per "
        f"cent, a black one {black}. Look at the loss above its floor, or at PSNR.",
        "pixel_accuracy/pixel_accuracy.svg",
    )


def displayed(book: Book) -> Answer:
    lam = book.cell("cb_panels", "its lambda", y="0.3")
    floor = book.number("cb_panels", "floor of y = 0.3, nats")
    wrong = book.number("cb_panels", "value where sigmoid(z) = y = 0.3, nats")
    coin, mean, law = (
        book.number("cb_warp", f"E(p) at gamma = 0, {which}, nats per image", 4)
        for which in ("trained with BCE", "trained with BCE, μ⁻¹", "trained on p")
    )
    return Answer(
        "show the mean, not lambda",
        "The continuous Bernoulli's parameter is not its mean. For a dark grey target "
        f"(three tenths) the best lambda is {lam}: shown as a picture it has far too "
        f"much contrast. Its loss there is {floor} nats, not 0 and not positive, since "
        f"it is a density; at lambda = y it would be {wrong}, which is worse. "
        "A VAE that was trained with BCE shows it too: on MNIST its bound is "
        f"{coin} nats per image where its output is taken for lambda, {mean} where it "
        f"is taken for the mean, and {law} if it is trained with the law itself.",
        "cb_panels/cb_panels.svg",
    )


def bits_preserved(book: Book) -> Answer:
    right = book.holds("bce_floor", LEAST, ENTROPY)
    digits = book.number("bce_floor", "floor of digits, nats a pixel", 4)
    score = book.ranking("digits", "excess_bce")[BCE]["center"]
    return Answer(
        "BCE minus its floor is a distance in nats" if right else "not shown",
        "BCE is the cost of coding black-or-white pixels drawn with chance y by a "
        "model that believes p. Only what is above the floor depends on the network: "
        "the KL from y to p. It counts no bits preserved. On the digits the floor is "
        f"{digits} nats a pixel, and a network trained with BCE leaves {score:.2g} "
        "above it.",
        FLOOR,
    )


def scaled(book: Book) -> Answer:
    alike, apart = told_apart(book, JUDGES)
    return Answer(
        "depends on the metric" if apart and alike else "not shown",
        "Each loss at its own learning rate on the digits: by "
        f"{listed(apart) if apart else 'no metric'} the two differ "
        f"({winners(book, apart)}), by {listed(alike) if alike else 'no metric'} "
        "they do not. A comparison at one common rate answers another question: "
        "which loss likes that rate.",
        KNOB,
    )


def winners(book: Book, metrics: Sequence[str]) -> str:
    """Which of BCE and MSE is the better one, metric by metric."""
    parts = []
    for metric in metrics:
        standing = book.ranking("digits", metric)
        sign = 1 if standing[BCE]["direction"] == "lower" else -1
        first = min((BCE, MSE), key=lambda loss: sign * standing[loss]["center"])
        parts.append(f"{metric}: {first}")
    return "; ".join(parts) or "none"


def structural(book: Book) -> Answer:
    best = {m: book.best_set("digits", m) for m in (SSIM, SHARPNESS, MSE)}
    worst = book.ranking("digits", MSE)[SSIM]["center"]
    other = book.ranking("digits", MSE)[MSE]["center"]
    return Answer(
        "yes, with windows that fit the picture" if SSIM in best[SSIM] else "not shown",
        "The suite's SSIM shrinks its window and leaves out scales by a stated rule, "
        "down to 8x8 pixels. Trained with it, the digits are best by structural "
        f"similarity ({listed(best[SSIM])}) and by sharpness "
        f"({listed(best[SHARPNESS])}), and pay in squared error: {worst:.2g} where "
        f"MSE leaves {other:.2g}.",
        RANKING,
    )


def blob(book: Book) -> Answer:
    logistic, squared, plain = (
        book.number("hinton_pca", row, 4) for row in (LOGISTIC, SQUARED, LINEAR)
    )
    return Answer(
        "neither loss is magic: rate, output and start decide",
        "A grey blob is the mean image: the network has not begun to learn. Tuned, "
        "both losses learn. Squared error per MNIST image of one linear code of thirty "
        f"numbers: {logistic} with sigmoid and BCE, {squared} with sigmoid and MSE, "
        f"{plain} with MSE and a clipped linear output. A blob with BCE calls for "
        "another learning rate or for the output's bias at the mean image, not for "
        "another loss.",
        "hinton_pca/hinton_pca.svg",
    )


def sample_or_mean(book: Book) -> Answer:
    spread = book.number(
        "cb_panels", "standard deviation of a pixel of mean 0.3, continuous Bernoulli"
    )
    coin = book.number("cb_panels", "standard deviation of a pixel of mean 0.3, coin")
    return Answer(
        "the mean, for pictures; a sample carries the noise of the law",
        "A likelihood says how pixels scatter around the picture. A dark grey pixel "
        f"(mean three tenths) scatters by {coin} if the law is a coin, as with BCE, "
        f"and by {spread} if it is the continuous Bernoulli: a sample is the picture "
        "plus that much independent noise in every pixel. Real images do not have it, "
        "so show the mean, and say that you do.",
        "cb_panels/cb_panels.svg",
    )
