"""The fixed texts of the page's layout, head and dialogs; texts that change with the results are in
the scripts of `demo/web`."""

from gradcam_core.analysis.overlap_grades import GRADES

TITLE = "Grad-CAM, side by side"

HEAD = """
<link rel="modulepreload" href="web/app.js">
<link rel="stylesheet" href="web/page.css">
<link rel="stylesheet" href="web/results/results.css">
<link rel="stylesheet" href="web/results/presentation.css">
<link rel="stylesheet" href="web/sections/sections.css">
<link rel="stylesheet" href="web/results/covers.css">
<link rel="stylesheet" href="web/live/live.css">
<meta name="description" content="What three image classifiers see in a picture, and where.">
"""

HEADER = f"""
<header class="masthead">
  <h1>{TITLE}</h1>
  <p>Give it a photo. Image classifiers say what they see and show where they looked.</p>
</header>
"""

_GRADES = ", ".join(f"{grade.words} from {grade.least} % on" for grade in GRADES[1:-1])

HOW_TO_READ = f"""
**The colours.** Each map belongs to one class; only Eigen-CAM ignores the class. The brightest
colours mark the places with the most evidence for that class; where the photo shows through, the
map has little or none. The scale is separate for every map: it compares places within one map, not
maps with each other. Equally bright spots in two panels need not be equally strong evidence. Point
at a place to read its heat in all panels.

**The dark frame** is what the network did not see. The published preprocessing crops the photo at
its centre, usually to a square; choose *Whole photo* to let the networks see everything.

**The percentages** are the network's own probabilities for the classes it was
trained on: for most networks here, the 1000 of ImageNet. A network cannot name anything else:
instead, it gives the nearest class it knows.

**Where they agree.** A network *looked at* the hottest fifth of what all networks saw. *Overlap* is
the intersection of two such fifths over their union: 100 % means the same places; two fifths placed
at random overlap by 11 %. In words, networks look at {GRADES[0].words} or, by the overlap, at
{_GRADES}. *Rank corr.* is Spearman's correlation of the heat at all places: 1 means the same order
from cold to hot, 0 means no relation. Agreement does not make networks right.

**What the colours do not say.** The maps are coarse: the last feature map has 7 × 7 to 14 × 14
cells, and an edge of the heat is not an edge of the object. They show the evidence *for* a class;
*For and against* adds the evidence against it in blue. They do not show that the network
understands the object: heat on the water under a boat can mean that it recognises boats by their
water. The map of a class with a probability near zero shows where the network would look for it,
not that it is there. No map proves *why* a network decided as it did.

**Rather than** explains one class against another: only places that support the first class more
than the second are hot. Between look-alikes, little heat may remain.

**Layer.** Grad-CAM is designed for the last feature map. Earlier ones have more cells, but
represent edges and textures rather than objects: the slider shows how the evidence forms, not a
better map.

**How is this map made?** *How* takes the map apart: the channels of the feature map, the weight
that the gradient of the score gives to each, and their sum, in which negative values become zero.

**How far can I trust this?** *Trust* checks each map in three ways. Each check holds, fails or is
not clear, and the worst of the three is the verdict. *Hottest places*: the probability of the class
while the hottest places are blurred, and while all others are (deletion and insertion, after RISE,
Petsiuk and others, 2018), compared with the same map laid elsewhere, moved and mirrored. A good map
lies below the grey band in the first plot and above it in the second. *Lead* says by how much, in
standard deviations between the other places; ± is its standard error. More places are tried until
the outcome is settled. A class below 1 % is not clear: too little probability is left to find out
what it rests on. *Random weights*: the map is made again while the network's weights are made
random, from the head downwards (Adebayo and others, 2018). A map that stays the same says nothing
about the network. *Small changes*: a map that changes with a small shift or a little noise is an
accident. *Only the heat shown*: the probability when the photo is seen through its heat
(Chattopadhay and others, 2018). All checks are about the network, not about the world: a map can
hold while the network is wrong.

**Cover.** Cover a place, and the networks look again. Each panel gives the probability of the class
it explained before → after, and how far the hottest fifths of the maps overlap. The
hottest place is the box with the most heat, about a fifth of what the networks saw. *Same area at a
cold place* covers an equal area where the maps are coldest: if the class falls as far there, its
first fall says little about the first place. The fill itself may matter: a blurred box has edges
and a colour, and no network was trained on such photos. Try grey or the mean colour, too. If a
class survives, the place may still have been used: other places may have sufficed.

**Sharp.** The networks see the same picture at twice their input size, which gives four times as
many cells. At each cell, only the lead of the class over the strongest of the ten most probable
others counts. Sharp maps locate better, but they answer a different question:
not "what speaks for a tiger cat?" but "what speaks for a tiger cat rather than for any of these?".
The percentages stay those of the published network. *Other …* and *Methods* offer more. Score-CAM
runs each network many hundreds of times, which takes minutes; here it always uses detail 1, for one
visitor at a time.

[Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization](https://arxiv.org/abs/1610.02391), R. R. Selvaraju and others, ICCV 2017.
"""

AS_PUBLISHED = "Grad-CAM"

OWN_CHOICE = "Other …"

KINDS = "Sharp maps are finer, and hot only where the class leads the most probable others."

AUTO_CONTRAST = "Only evidence that favours the class over the ten most probable others."

ADDRESS_FORM = """
<form class="address" data-address>
  <input type="url" name="picture" aria-label="Address of a picture"
    placeholder="or the address of a picture" inputmode="url" autocomplete="off" spellcheck="false">
  <button type="submit" class="action">Open</button>
</form>
"""

TARGET = "or click any prediction"

CONTRAST = "Only evidence that favours the class over this one."

NO_OTHER = "No other class"

_SKIP = '<a class="skip" href="#results">{}</a>'
SKIP_LINK = _SKIP.format("Skip to the predictions")
SKIP_SETTINGS = _SKIP.format("Skip the settings")

SETTINGS_BUTTON = """
<button type="button" class="action unfold" data-unfolds aria-expanded="false">
  Class, models, view and map
</button>
"""

SEVERAL_CROPS = "As each network was trained"
"""The crop's title if the chosen networks differ: some see the photo's centre, some all of it
stretched."""

OWN_TOP = "Each network's top class"

NO_PHOTO = "Drop, paste or take a photo, or choose an example, to see where the networks look."

NO_MODEL = "Choose at least one model."
