"""The table of claims: what people say and ask of these losses, and who answers."""

from lossjax.suite.reproduce import answers
from lossjax.suite.reproduce import answers_asked as asked
from lossjax.suite.reproduce.claim import Claim

QUESTION = "the question that started the project"
CLAIMS: tuple[Claim, ...] = (
    Claim(
        "S1", "BCE(y, p) is not 0 at p = y, but lowest there", QUESTION, answers.floor
    ),
    Claim(
        "S2",
        "squared, absolute, log cosh error and BCE share their minimiser, so it cannot "
        "choose one",
        QUESTION,
        answers.minimiser,
    ),
    Claim(
        "S3",
        "MSE saturates behind a sigmoid: is it the loss, or its pair with the output?",
        QUESTION,
        answers.saturation,
    ),
    Claim(
        "S4",
        "VAEs with BCE and MSE look different: how much is only the noise scale?",
        QUESTION,
        answers.scale,
    ),
    Claim(
        "S5",
        "which one should be used, on which images, and how sure are we?",
        QUESTION,
        answers.which_loss,
    ),
    Claim(
        "Q1",
        "BCE needs targets of 0 or 1; why does it work for pixels?",
        "AllenCellModeling#7, dbbert/dfn#4, nitarshan/variational-autoencoder#1",
        asked.targets,
    ),
    Claim(
        "Q2",
        "the loss of a perfect prediction is 0.58; is that wrong?",
        "datascience.stackexchange 97200",
        asked.perfect,
    ),
    Claim(
        "Q3",
        "is the asymmetric penalty bad?",
        "stats.stackexchange, non-binary data",
        asked.asymmetric,
    ),
    Claim(
        "Q4",
        "why MSE for the autoencoder and BCE for the VAE in one tutorial?",
        "stats.stackexchange 350211",
        asked.ae_or_vae,
    ),
    Claim(
        "Q5",
        "cross-entropy gives a blob, MSE works",
        "stats.stackexchange 245448, libsdae#3",
        asked.blob,
    ),
    Claim(
        "Q6",
        "it does not matter if you replace BCE with MSE",
        "yunjey/pytorch-tutorial#104",
        asked.replaced,
    ),
    Claim(
        "Q7",
        "sum or mean over pixels? my KL collapses",
        "WorldModels#2, benchmark_VAE#124, pytorch/examples#652",
        asked.reduction,
    ),
    Claim(
        "Q8",
        "what is kld_weight, or M_N?",
        "AntixK/PyTorch-VAE#11, #23, #35, #40, #56",
        asked.weight,
    ),
    Claim(
        "Q9",
        "my loss is negative",
        "Lasagne/Recipes#54, keras#2841, keras#1917, y0ast#7",
        asked.negative,
    ),
    Claim(
        "Q10",
        "my loss is NaN",
        "keras#377, keras#4744, Lasagne#436",
        asked.not_a_number,
    ),
    Claim(
        "Q11",
        "my images are in [-1, 1] and the network ends in tanh",
        "novelty-detection#5, PyTorch-VAE PR#60",
        asked.tanh_outputs,
    ),
    Claim(
        "Q12",
        "the accuracy of my autoencoder is 81 %",
        "stackoverflow 56519500",
        asked.accuracy,
    ),
    Claim(
        "Q13",
        "which likelihood for the decoder; do I show a sample or the mean?",
        "stats.stackexchange 368001, pyro#2519",
        asked.sample_or_mean,
    ),
    Claim(
        "Q14",
        "the continuous Bernoulli's loss is negative, its pictures have hard contrast",
        "pytorch#72525, disent, AtSourav's notebook",
        asked.displayed,
    ),
    Claim(
        "Q15",
        "can SSIM be used on small images?",
        "pytorch-msssim#2, #13",
        asked.structural,
    ),
    Claim(
        "Q16",
        "what does BCE measure; are those bits preserved?",
        "pytorch-cpp#34",
        asked.bits_preserved,
    ),
    Claim(
        "Q17",
        "BCE does a little better on data scaled to [0, 1]",
        "SCALEX#27",
        asked.scaled,
    ),
)
