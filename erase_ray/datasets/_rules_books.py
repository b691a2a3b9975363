"""Words and parts that make a book sensitive; the lists that both sets of books share."""

from erase_ray.datasets._keywords import Keywords

HEALTH = Keywords(
    words=("suicide", "depression", "anxiety", "trauma", "ptsd"),
    parts=(
        "mental health",
        "mental illness",
        "self harm",
        "self-harm",
        "therapy",
        "psychiatric",
        "breakdown",
        "bipolar",
        "schizophrenia",
        "medication",
        "overdose",
        "cutting",
        "grief",
        "bereavement",
    ),
)
VIOLENCE = Keywords(
    words=("murder", "violence", "war", "torture", "abuse", "assault"),
    parts=(
        "weapon",
        "blood",
        "kill",
        "death",
        "gun",
        "shoot",
        "attack",
        "revenge",
        "massacre",
        "slaughter",
        "rape",
        "sexual assault",
    ),
)
EXPLICIT = Keywords(
    words=("sex", "erotic", "porn", "nude"),
    parts=(
        "explicit",
        "adult",
        "sexual",
        "xxx",
        "nsfw",
        "uncensored",
        "sensual",
        "nudity",
        "erotica",
    ),
)
