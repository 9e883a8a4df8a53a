"""Answers to the five questions that began the project.

No number is typed here: every one is looked up in the stored summaries, and a verdict
is drawn from what is found there. A test reads this file for digits.
"""

from collections.abc import Sequence

from lossjax.suite.reproduce.claim import Answer, Book, Missing

BCE, MSE, SSIM = "bce", "mse", "ssim"
SHARPNESS = "sharpness_error"
JUDGES = (MSE, SSIM, "excess_bce", "mae", SHARPNESS, "knn_accuracy")
FLOOR = "bce_floor/bce_floor.svg"
RANKING = "digits/ranking-digits-conv_ae.svg"
KNOB = "response/response-digits-conv_ae-power-mse.svg"
LEAST = "least at p = y, for 21 grey levels: largest distance"
ENTROPY = "least value is H(y): largest distance"
SHARED = "bce, mse, mae and log_cosh are least at p = y"
WHITE = "draws a pixel that is white 3 times in 10 at"
PERFECT = "a perfect prediction of (.5, .3, .5, .9)"
WORSE = "an imperfect one, (.1, .3, .5, .8)"
ASYMMETRY = "the asymmetry: excess at p = .1 over excess at p = .3"
REMOVED = "share of the difference in {} that the matched scale removes"
MATCHED = "variance of the Gaussian whose code costs the KL of bce"
PULL = "scale that bce's own pull implies, in intensity"
LOGISTIC = "linear code, sigmoid + bce (logistic PCA): squared error per image"
SQUARED = "linear code, sigmoid + mse: squared error per image"
LINEAR = "linear code, no sigmoid, mse, clipped: squared error per image"
PCA = "PCA, 30 components: squared error per image"
MOST = 0.8  # of a difference; what lies above is nearly all of it
SUMMED = "KL of bce over that of mse, both summed"


def floor(book: Book) -> Answer:
    right = book.holds("bce_floor", LEAST, ENTROPY)
    mnist = book.number("bce_floor", "floor of mnist, nats a pixel", 4)
    digits = book.number("bce_floor", "floor of digits, nats a pixel", 4)
    return Answer(
        "true" if right else "false",
        "BCE(y, p) = H(y) + KL(y, p). The first part is the entropy of the grey level "
        "itself: no network can change it and its gradient is 0. The second part is 0 "
        "exactly at p = y and grows on both sides. So a grey pixel leaves a remainder, "
        "and the remainder is not an error: a perfect reconstruction scores "
        f"{mnist} nats a pixel on MNIST and {digits} on the digits. Subtract it and "
        "you see what is left to learn; training is the same with and without.",
        FLOOR,
    )


def minimiser(book: Book) -> Answer:
    shared = book.holds("bce_floor", SHARED)
    level = {
        loss: book.number("bce_floor", f"{loss} {WHITE}", 2)
        for loss in (BCE, MSE, "mae", "log_cosh")
    }
    noise = book.cell("planted_noise", "mse of the foil", noise="laplace")
    return Answer(
        "true for one fixed target, false for a pixel that varies"
        if shared
        else "false",
        "For one known grey level all four are least at p = y, so that argument cannot "
        "choose between them. But a network cannot know each pixel; it must draw one "
        "level for many images, and there they differ. A pixel that is white "
        f"three times in ten is drawn at {level[BCE]} by BCE and {level[MSE]} by "
        f"squared error (the mean), at {level['mae']} by absolute error (the median) "
        f"and at {level['log_cosh']} by log cosh, which lies between. What the noise "
        "of the data is like decides: with Laplace noise the squared error of a "
        f"network trained with MSE is {noise} that of one trained with MAE.",
        FLOOR,
    )


def saturation(book: Book) -> Answer:
    slower = {
        start: book.number(
            "saturated_neuron",
            f"{start}: epochs until the output is below 0.5, quadratic over "
            "cross-entropy at the same rate",
        )
        for start in ("w = 0.6, b = 0.9", "w = b = 2")
    }
    fades = "exponent of decay at a wrong answer"
    pair = book.holds("gradients", f"{BCE}: {fades}", f"{MSE}: {fades}")
    bad = book.holds(
        "surgery", "adam, white, tuned: what makes `mse` worse is saturation"
    )
    usual, white = (
        {
            column: book.cell("surgery", f"`{column}` / `bce`", condition=condition)
            for column in (MSE, "mse[straight_through]", "mse_linear")
        }
        for condition in ("adam, head x 1, tuned", "adam, white, tuned")
    )
    part = book.cell("surgery", "by saturation", condition="adam, white, tuned")
    return Answer(
        "it is the pairing, and it costs where the start is bad"
        if pair and bad
        else "it is the pairing, but not shown to cost anything"
        if pair
        else "false: both behave alike",
        "Behind a sigmoid the gradient of the squared error carries a factor p (1 - p) "
        "that is nearly 0 where the answer is confidently wrong; in BCE the log "
        "cancels that factor and p - y is left. One sigmoid neuron that starts "
        f"moderately wrong takes {slower['w = 0.6, b = 0.9']} times as long to turn "
        f"with squared error, one that starts very wrong {slower['w = b = 2']} times. "
        "In a whole network with Adam, each arm at its own rate, squared error on "
        f"the digits after MSE over that after BCE is {usual[MSE]} from the usual "
        f"start, and {white[MSE]} where every pixel starts white; of the latter "
        f"saturation explains {part}. Take the sigmoid's derivative as 1 and it is "
        f"{white['mse[straight_through]']}; take the sigmoid away and it is "
        f"{white['mse_linear']}. So the loss alone is not to blame.",
        "surgery/surgery.svg",
    )


def scale(book: Book) -> Answer:
    name = "matched_scale"
    ratio = book.said(name, SUMMED)
    removed = {
        metric: book.said(name, REMOVED.format(metric))
        for metric in (MSE, SSIM, "knn_accuracy")
    }
    variance = book.said(name, MATCHED)
    shares = [
        book.finding(name, REMOVED.format(metric))["number"]["low"]
        for metric in (MSE, SSIM)
    ]
    return Answer(
        "nearly all of it is the noise scale"
        if min(shares) > MOST
        else "at least half of it is the noise scale"
        if book.holds(name, *(REMOVED.format(metric) for metric in (MSE, SSIM)))
        else "a part of it; the loss itself is more",
        "A VAE weighs reconstruction against the KL of its code, and a loss says how "
        "much a residual counts. Squared error summed over pixels says that a residual "
        "of most of the range is normal; BCE counts it for more, so its code "
        f"carries {ratio} times the nats. A Gaussian whose code costs what BCE's does "
        f"has variance {variance}. Compare BCE with that one, and of the difference "
        f"to plain squared error these shares are gone: in squared error "
        f"{removed[MSE]}, in structural similarity {removed[SSIM]}, in what the "
        f"neighbours of a code say of the digit {removed['knn_accuracy']}.",
        "matched_scale/matched_scale.svg",
    )


def which_loss(book: Book) -> Answer:
    by = {m: book.best_set("digits", m) for m in (SSIM, MSE, "excess_bce", "mae")}
    seeds = book.ranking("digits", MSE)[BCE]["n"]
    knob = book.best_set("response", MSE)
    both = {"power(g=0)", "power(g=1)"} <= set(knob)
    fits = book.cell("planted_noise", "in the best set", noise="bernoulli")
    ends = (
        "BCE and half-MSE, the two ends, are both among them"
        if both
        else "BCE and half-MSE are not both among them"
    )
    return Answer(
        "depends on what you judge by"
        + ("; for squared error hardly on BCE or MSE" if both else ""),
        "There is no best loss, there is a best loss for a metric. On the digits, "
        f"each loss at its own learning rate, {seeds} seeds, the losses that are "
        f"tied for best are: by structural similarity {listed(by[SSIM])}; by "
        f"squared error {listed(by[MSE])}; by cross-entropy above its floor "
        f"{listed(by['excess_bce'])}; by absolute error {listed(by['mae'])}. Of the "
        f"values between BCE and MSE {len(knob)} are tied for best by squared "
        f"error, and {ends}. If you know the noise, take the loss that fits it: with "
        f"black-or-white noise BCE was tied for best in {fits} planted trials."
        + output(book),
        RANKING,
    )


def output(book: Book) -> str:
    """What a sigmoid output is worth beside the loss behind it, where that was run."""
    rows = (LOGISTIC, SQUARED, PCA)
    try:
        bce, mse, pca = (book.value("hinton_pca", row) for row in rows)
    except Missing:
        return ""
    words = (
        " On MNIST a linear code of thirty numbers leaves a squared error per image of "
        f"{bce:.2f} with sigmoid and BCE and of {mse:.2f} with sigmoid and MSE; PCA, "
        f"the best that a linear output can do unclipped, leaves {pca:.2f}"
    )
    outweighs = abs(bce - mse) < pca - max(bce, mse)
    return words + (
        ": there the output matters more than the loss." if outweighs else "."
    )


def listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
