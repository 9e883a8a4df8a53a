"""The claims ledger: what people say and ask of these losses, answered from the rows.

No number is typed here: every one is looked up in the stored summaries, and a verdict
is drawn from what is found there. A test reads this file for digits.
"""

from collections.abc import Sequence

from experiments.studies.claim import Answer, Book, Claim

BCE, MSE, SSIM = "bce", "mse", "ssim"
JUDGES = (MSE, "psnr", SSIM, "excess_bce", "mae", "sharpness", "knn_accuracy")
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
SUMMED = "KL of bce over that of mse, both summed"


def _floor(book: Book) -> Answer:
    right = book.holds("bce_floor", LEAST, ENTROPY)
    mnist = book.number("bce_floor", "floor of mnist, nats a pixel", 4)
    digits = book.number("bce_floor", "floor of digits, nats a pixel", 4)
    return Answer(
        "true" if right else "false",
        "BCE(y, p) = H(y) + KL(y, p). The first part is the entropy of the grey level "
        "itself: no network can change it and its gradient is 0. The second part is 0 "
        "exactly at p = y and grows on both sides. So a grey pixel leaves a rest, and "
        "the rest is no error: a perfect reconstruction scores "
        f"{mnist} nats a pixel on MNIST and {digits} on the digits. Subtract it and "
        "you see what is left to learn; training is the same with and without.",
        FLOOR,
    )


def _minimiser(book: Book) -> Answer:
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
        "level for many images, and there the four differ. A pixel that is white "
        f"three times in ten is drawn at {level[BCE]} by BCE and {level[MSE]} by "
        f"squared error (the mean), at {level['mae']} by absolute error (the median) "
        f"and at {level['log_cosh']} by log cosh, which lies between. What the noise "
        "of the data is like decides: with Laplace noise the squared error of a "
        f"network trained with MSE is {noise} that of one trained with MAE.",
        FLOOR,
    )


def _saturation(book: Book) -> Answer:
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


def _scale(book: Book) -> Answer:
    name = "matched_scale"
    ratio = book.said(name, SUMMED)
    removed = {
        metric: book.said(name, REMOVED.format(metric))
        for metric in (MSE, SSIM, "knn_accuracy")
    }
    variance = book.said(name, MATCHED)
    most = book.holds(name, *(REMOVED.format(metric) for metric in (MSE, SSIM)))
    return Answer(
        "at least half of it is the noise scale"
        if most
        else "a part of it; the loss itself is more",
        "A VAE weighs reconstruction against the KL of its code, and a loss says how "
        "much a residual counts. Squared error summed over pixels says that a residual "
        "of most of the range is normal; BCE counts it for much more, so its code "
        f"carries {ratio} times the nats. A Gaussian whose code costs what BCE's does "
        f"has variance {variance}. Compare BCE with that one, and of the difference "
        f"to plain squared error these shares are gone: in squared error "
        f"{removed[MSE]}, in structural similarity {removed[SSIM]}, in what the "
        f"neighbours of a code say of the digit {removed['knn_accuracy']}.",
        "matched_scale/matched_scale.svg",
    )


def _which(book: Book) -> Answer:
    by = {m: book.best_set("digits", m) for m in (SSIM, MSE, "excess_bce", "mae")}
    seeds = book.ranking("digits", MSE)[BCE]["n"]
    knob = book.best_set("response", MSE)
    both = {"power(g=0)", "power(g=1)"} <= set(knob)
    fits = book.cell("planted_noise", "in the best set", noise="bernoulli")
    pca = book.number("hinton_pca", "PCA, 30 components: squared error per image", 4)
    logistic = book.number(
        "hinton_pca",
        "linear code, sigmoid + bce (logistic PCA): squared error per image",
    )
    ends = (
        "BCE and half-MSE, the ends of the knob, are both in it"
        if both
        else "BCE and half-MSE are not both in it"
    )
    return Answer(
        "depends on what you judge by"
        + ("; for squared error hardly on BCE or MSE" if both else ""),
        "There is no best loss, there is a best loss for a yardstick. On the digits, "
        f"each loss at its own learning rate, {seeds} seeds, the losses that cannot be "
        f"told from the best are: by structural similarity {_listed(by[SSIM])}; by "
        f"squared error {_listed(by[MSE])}; by cross-entropy above its floor "
        f"{_listed(by['excess_bce'])}; by absolute error {_listed(by['mae'])}. Of the "
        f"knob between BCE and MSE {len(knob)} values share the best set by squared "
        f"error, and {ends}. If you know the noise, take the loss that fits it: with "
        f"black-or-white noise BCE was in the best set of {fits} planted trials. If "
        "pixels are mostly black and white, a sigmoid output is worth more than the "
        "loss behind it: a linear code with sigmoid and BCE leaves "
        f"{logistic} of squared error per MNIST image where PCA, the best of all "
        f"linear outputs, leaves {pca}.",
        RANKING,
    )


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _targets(book: Book) -> Answer:
    answer = _floor(book)
    slope = book.holds("gradients", f"{BCE}: dL/dz against algebra")
    return Answer(
        "false: any target from 0 to 1 will do" if slope else "not shown",
        "The gradient in the logit is p - y for every target in [0, 1], grey or not: "
        "it pushes towards the grey level and is 0 there. " + answer.words,
        FLOOR,
    )


def _perfect(book: Book) -> Answer:
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


def _asymmetric(book: Book) -> Answer:
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


def _ae_or_vae(book: Book) -> Answer:
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


def _replace(book: Book) -> Answer:
    shared, apart = _split(book, JUDGES)
    ratio = book.said("matched_scale", SUMMED)
    return Answer(
        "true for an autoencoder judged by squared error, false for a VAE"
        if MSE in shared
        else "false",
        f"On the digits BCE and MSE cannot be told apart by {_listed(shared) or 'none'}"
        f", and can by {_listed(apart) if apart else 'no other metric'}. In a VAE "
        f"the same swap changes the KL of the code by a factor of {ratio}.",
        RANKING,
    )


def _split(book: Book, metrics: Sequence[str]) -> tuple[list[str], list[str]]:
    """Metrics that cannot tell BCE from MSE on the digits, and those that can."""
    alike = [m for m in metrics if book.together("digits", m, BCE, MSE)]
    return alike, [m for m in metrics if m not in alike]


def _reduction(book: Book) -> Answer:
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


def _weight(book: Book) -> Answer:
    answer = _reduction(book)
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


def _negative(book: Book) -> Answer:
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


def _nan(book: Book) -> Answer:
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


def _tanh(book: Book) -> Answer:
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


def _accuracy(book: Book) -> Answer:
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


def _displayed(book: Book) -> Answer:
    lam = book.cell("cb_panels", "its lambda", y="0.3")
    floor = book.number("cb_panels", "floor of y = 0.3, nats")
    wrong = book.number("cb_panels", "value where sigmoid(z) = y = 0.3, nats")
    return Answer(
        "show the mean, not lambda",
        "The continuous Bernoulli's parameter is not its mean. For a dark grey target "
        f"(three tenths) the best lambda is {lam}: shown as a picture it has far too "
        f"much contrast. Its loss there is {floor} nats, not 0 and not positive, since "
        f"it is a density; at lambda = y it would be {wrong}, which is worse.",
        "cb_panels/cb_panels.svg",
    )


def _bits(book: Book) -> Answer:
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


def _scaled(book: Book) -> Answer:
    alike, apart = _split(book, JUDGES)
    return Answer(
        "depends on the yardstick" if apart and alike else "not shown",
        "Each loss at its own learning rate on the digits: by "
        f"{_listed(apart) if apart else 'no metric'} the two are told apart "
        f"({_winners(book, apart)}), by {_listed(alike) if alike else 'no metric'} "
        "they are not. A comparison at one common rate answers another question: "
        "which loss likes that rate.",
        KNOB,
    )


def _winners(book: Book, metrics: Sequence[str]) -> str:
    """Which of BCE and MSE is the better one, metric by metric."""
    parts = []
    for metric in metrics:
        standing = book.ranking("digits", metric)
        sign = 1 if standing[BCE]["direction"] == "lower" else -1
        first = min((BCE, MSE), key=lambda loss: sign * standing[loss]["center"])
        parts.append(f"{metric}: {first}")
    return "; ".join(parts) or "none"


def _structural(book: Book) -> Answer:
    best = {m: book.best_set("digits", m) for m in (SSIM, "sharpness", MSE)}
    worst = book.ranking("digits", MSE)[SSIM]["center"]
    other = book.ranking("digits", MSE)[MSE]["center"]
    return Answer(
        "yes, with windows that fit the picture" if SSIM in best[SSIM] else "not shown",
        "The suite's SSIM shrinks its window and leaves out scales by a stated rule, "
        "down to 8x8 pixels. Trained with it, the digits are best by structural "
        f"similarity ({_listed(best[SSIM])}) and by sharpness "
        f"({_listed(best['sharpness'])}), and pay in squared error: {worst:.2g} where "
        f"MSE leaves {other:.2g}.",
        RANKING,
    )


def _blob(book: Book) -> Answer:
    plain = book.number(
        "hinton_pca", "linear code, no sigmoid, mse: squared error per image", 4
    )
    logistic = book.number(
        "hinton_pca",
        "linear code, sigmoid + bce (logistic PCA): squared error per image",
        4,
    )
    squared = book.number(
        "hinton_pca", "linear code, sigmoid + mse: squared error per image", 4
    )
    return Answer(
        "neither loss is magic: rate, output and start decide",
        "A grey blob is the mean image: the network has not begun to learn. Tuned, "
        "both losses learn. Squared error per MNIST image of one linear code of thirty "
        f"numbers: {logistic} with sigmoid and BCE, {squared} with sigmoid and MSE, "
        f"{plain} with MSE and no sigmoid. A blob with BCE calls for another learning "
        "rate or for the read-out's bias at the mean image, not for another loss.",
        "hinton_pca/hinton_pca.svg",
    )


def _sample(book: Book) -> Answer:
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


QUESTION = "the question that started the project"
CLAIMS: tuple[Claim, ...] = (
    Claim("S1", "BCE(y, p) is not 0 at p = y, yet least there", QUESTION, _floor),
    Claim(
        "S2",
        "squared, absolute, log cosh error and BCE share their minimiser, so it cannot "
        "choose one",
        QUESTION,
        _minimiser,
    ),
    Claim(
        "S3",
        "MSE saturates behind a sigmoid: is it the loss, or its pair with the output?",
        QUESTION,
        _saturation,
    ),
    Claim(
        "S4",
        "VAEs with BCE and MSE look different: how much is only the noise scale?",
        QUESTION,
        _scale,
    ),
    Claim(
        "S5",
        "which one should be used, on which images, and how sure are we?",
        QUESTION,
        _which,
    ),
    Claim(
        "Q1",
        "BCE needs targets of 0 or 1; why does it work for pixels?",
        "AllenCellModeling#7, dbbert/dfn#4, nitarshan/variational-autoencoder#1",
        _targets,
    ),
    Claim(
        "Q2",
        "the loss of a perfect prediction is 0.58; is that wrong?",
        "datascience.stackexchange 97200",
        _perfect,
    ),
    Claim(
        "Q3",
        "is the asymmetric penalty bad?",
        "stats.stackexchange, non-binary data",
        _asymmetric,
    ),
    Claim(
        "Q4",
        "why MSE for the autoencoder and BCE for the VAE in one tutorial?",
        "stats.stackexchange 350211",
        _ae_or_vae,
    ),
    Claim(
        "Q5",
        "cross-entropy gives a blob, MSE works",
        "stats.stackexchange 245448, libsdae#3",
        _blob,
    ),
    Claim(
        "Q6",
        "it does not matter if you replace BCE with MSE",
        "yunjey/pytorch-tutorial#104",
        _replace,
    ),
    Claim(
        "Q7",
        "sum or mean over pixels? my KL collapses",
        "WorldModels#2, benchmark_VAE#124, pytorch/examples#652",
        _reduction,
    ),
    Claim(
        "Q8",
        "what is kld_weight, or M_N?",
        "AntixK/PyTorch-VAE#11, #23, #35, #40, #56",
        _weight,
    ),
    Claim(
        "Q9",
        "my loss is negative",
        "Lasagne/Recipes#54, keras#2841, keras#1917, y0ast#7",
        _negative,
    ),
    Claim("Q10", "my loss is NaN", "keras#377, keras#4744, Lasagne#436", _nan),
    Claim(
        "Q11",
        "my images are in [-1, 1] and the network ends in tanh",
        "novelty-detection#5, PyTorch-VAE PR#60",
        _tanh,
    ),
    Claim(
        "Q12",
        "the accuracy of my autoencoder is 81 %",
        "stackoverflow 56519500",
        _accuracy,
    ),
    Claim(
        "Q13",
        "which likelihood for the decoder; do I show a sample or the mean?",
        "stats.stackexchange 368001, pyro#2519",
        _sample,
    ),
    Claim(
        "Q14",
        "the continuous Bernoulli's loss is negative, its pictures have hard contrast",
        "pytorch#72525, disent, AtSourav's notebook",
        _displayed,
    ),
    Claim(
        "Q15", "can SSIM be used on small images?", "pytorch-msssim#2, #13", _structural
    ),
    Claim(
        "Q16",
        "what does BCE measure; are those bits preserved?",
        "pytorch-cpp#34",
        _bits,
    ),
    Claim(
        "Q17",
        "BCE does a little better on data scaled to [0, 1]",
        "SCALEX#27",
        _scaled,
    ),
)
