"""Keywords of sensitive tracks of #nowplaying, looked for in title and artist together."""

from erase_ray.datasets._keywords import Keywords, Rule

NAME = "name"
"""The one field: title, a blank, artist."""
RULES = {
    "health": Rule(
        {
            NAME: Keywords(
                words=("die",),
                parts=(
                    "depress",
                    "anxiety",
                    "suicide",
                    "self harm",
                    "therapy",
                    "ptsd",
                    "trauma",
                    "breakdown",
                    "bipolar",
                    "schizo",
                    "medication",
                    "overdose",
                    "cutting",
                    "death wish",
                    "end it all",
                    "kill myself",
                ),
            )
        }
    ),
    "explicit": Rule(
        {
            NAME: Keywords(
                words=("ass", "hell", "damn", "sex"),
                parts=(
                    "fuck",
                    "shit",
                    "bitch",
                    "drugs",
                    "explicit",
                    "parental advisory",
                    "nsfw",
                    "uncensored",
                    "xxx",
                    "cocaine",
                    "heroin",
                    "weed",
                    "marijuana",
                    "drunk",
                    "alcohol",
                ),
            )
        }
    ),
    "violence": Rule(
        {
            NAME: Keywords(
                words=("die", "pain", "kill", "hell"),
                parts=(
                    "murder",
                    "blood",
                    "violence",
                    "gun",
                    "shoot",
                    "weapon",
                    "war",
                    "fight",
                    "attack",
                    "revenge",
                    "torture",
                    "suffer",
                    "massacre",
                    "slaughter",
                    "death",
                    "corpse",
                    "brutal",
                ),
            )
        }
    ),
}
"""As published, known false friends included: ``die`` is also a German article, ``war`` is in
Edward and ``gun`` in begun. Labels are drawn for the eye by ``erase-ray datasets describe``."""
