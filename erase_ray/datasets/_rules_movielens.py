"""What makes a film sensitive; the keyword lists of the published benchmark.

Fields: ``title``, ``genres`` (a genre a line) and ``tags`` (what users called it, a tag a line).
Releases without user tags can only give the other two signals.
"""

from erase_ray.datasets._keywords import Keywords, Rule

RULES = {
    "health": Rule(
        {
            "title": Keywords(
                words=("suicide", "depression", "ptsd", "schizophrenia"),
                parts=(
                    "mental health",
                    "mental illness",
                    "psychiatric",
                    "psychiatrist",
                    "bipolar",
                    "self harm",
                    "self-harm",
                    "overdose",
                    "addiction",
                    "rehab",
                    "insanity",
                    "insane",
                    "asylum",
                    "institutionalized",
                    "psychosis",
                    "psychotic",
                    "mental hospital",
                    "mental institution",
                ),
            ),
            "tags": Keywords(
                parts=(
                    "mental health",
                    "mental illness",
                    "suicide",
                    "suicidal",
                    "depression",
                    "depressing",
                    "addiction",
                    "alcoholism",
                    "drug abuse",
                    "psychological",
                    "psychiatry",
                    "therapy",
                    "ptsd",
                    "trauma",
                    "schizophrenia",
                    "bipolar",
                )
            ),
        }
    ),
    "violence": Rule(
        {
            "title": Keywords(
                words=("kill", "murder", "death", "blood", "gun", "weapon", "war", "fight"),
                parts=(
                    "violence",
                    "violent",
                    "brutal",
                    "torture",
                    "massacre",
                    "slaughter",
                    "revenge",
                    "attack",
                    "shoot",
                    "assassin",
                    "gangster",
                    "mafia",
                    "criminal",
                    "crime",
                    "homicide",
                    "execution",
                    "terrorist",
                    "battle",
                    "combat",
                    "warfare",
                    "destruction",
                    "explosion",
                    "bomb",
                    "hostage",
                ),
            ),
            "genres": Keywords(lines=("Horror", "Thriller", "War", "Crime")),
            "tags": Keywords(
                parts=(
                    "violent",
                    "violence",
                    "gory",
                    "brutal",
                    "disturbing",
                    "graphic",
                    "bloody",
                    "torture",
                    "murder",
                    "killing",
                    "war",
                    "combat",
                    "weapons",
                )
            ),
        },
        min_signals=2,
    ),
    "extreme_violence": Rule(
        {
            "title": Keywords(
                words=("torture", "massacre", "slaughter", "execution", "homicide"),
                parts=(
                    "extreme violence",
                    "graphic violence",
                    "brutal murder",
                    "serial killer",
                    "psychopath",
                    "sadistic",
                    "gore",
                    "cannibal",
                    "saw",
                    "hostel",
                    "torture porn",
                    "snuff",
                    "beheading",
                    "dismemberment",
                ),
            ),
            "genres": Keywords(lines=("Horror",)),
            "tags": Keywords(
                parts=(
                    "extreme violence",
                    "graphic violence",
                    "gory",
                    "torture porn",
                    "disturbing",
                    "brutal",
                    "sadistic",
                    "serial killer",
                    "psychopath",
                )
            ),
        },
        min_signals=2,
    ),
    "explicit": Rule(
        {
            "title": Keywords(
                words=("sex", "nude", "erotic", "porn"),
                parts=(
                    "explicit",
                    "adult",
                    "mature",
                    "sexual",
                    "xxx",
                    "nsfw",
                    "uncensored",
                    "erotic",
                    "sensual",
                    "nudity",
                ),
            ),
            "tags": Keywords(
                parts=(
                    "explicit",
                    "adult",
                    "sexual",
                    "nudity",
                    "erotic",
                    "mature",
                    "nsfw",
                    "xxx",
                    "uncensored",
                )
            ),
        }
    ),
}
"""By category."""
