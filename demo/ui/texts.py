"""The texts of the page."""

TITLE = "Grad-CAM, side by side"

HEAD = """
<link rel="stylesheet" href="web/page.css">
<link rel="stylesheet" href="web/results.css">
<meta name="description" content="What three image classifiers see in a picture, and where.">
"""

HEADER = f"""
<header class="masthead">
  <h1>{TITLE}</h1>
  <p>Give it a photo: image classifiers say what they see, and show where they looked.</p>
</header>
"""

HOW_TO_READ = """
**The colours.** Each network is asked for one class. The bright end of the colours marks the places
whose content raised that class's score most; where the photo shows through, little or nothing spoke
for the class. The scale starts anew in every picture: it compares places within one picture, not
pictures with each other. A bright spot in one panel is not stronger than in another. Point at a
place to read its heat in all panels.

**The dark frame** is what the network did not see. Published preprocessing cuts a square from the
middle; choose *Whole photo* to let it see everything.

**The percentages** are the network's own probabilities over the 1000 classes of ImageNet. A class
that is not among them cannot be named: the network then gives the nearest it knows.

**Where they agree.** A network *looked at* the hottest fifth of what all networks saw. *Overlap* is
the intersection of two such fifths over their union: 100 % is the same places, two fifths laid down
blindly have 11 %. *Rank corr.* is Spearman's correlation of the heat at all places: 1 is the same
order from cold to hot, 0 no relation. That networks agree does not make them right.

**What the colours do not say.** They are coarse: the last feature map has 7 × 7 to 14 × 14 cells,
and an edge of the heat is not an edge of the object. They show what spoke *for* a class, not
what spoke against it, and not that the network understands the object: heat on the water under a
boat can mean that it knows boats by their water. A map for a class with a probability near zero
shows where the network would look for it, not that it is there. No map proves *why* a network
decided as it did.

**Rather than …** explains a class against another: only what speaks for the one more than for the
other is hot. Between look-alikes little may be left.

**Layer.** Grad-CAM is made for the last feature map. Earlier ones have more cells, and know edges
and textures rather than objects: the slider shows how the evidence forms, not a better map.

**How far can I trust this?** *Trust* checks each map. *Taken out*, *put in*: the probability while
the hottest places are removed from the photo, or put into a blurred one (RISE, Petsiuk and others,
2018), beside the same heat with its cells in a random order: a good map is below it in the first
and above it in the second. *Random weights*: the map once more with the network's weights random,
from the head downwards (Adebayo and others, 2018). A map that stays the same says nothing of the
network. *Photo shifted*, *noise*: a map that such things change is an accident. *Only the heat
shown*: the probability of what is left (Chattopadhay and others, 2018). All of it is about the
network, not about the world: a map can hold and the network be wrong.

**Sharp.** The networks see the same picture at twice their input size, which gives four times as
many cells, and at each cell only that counts by which the class is ahead of its strongest rival
there, of the ten classes that are most probable besides it. It locates better, and it asks another
question: not "what speaks for a tiger cat?" but "what speaks for a tiger cat rather than for any of
these?". The percentages stay those of the network as published. *Other …* and *Methods* have more;
Score-CAM runs each network many hundred times: that takes minutes, always at detail 1 here, and one
visitor at a time.

[Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization](https://arxiv.org/abs/1610.02391), R. R. Selvaraju and others, ICCV 2017.
"""

AS_PUBLISHED = "Grad-CAM"

OWN_CHOICE = "Other …"

KINDS = "Sharp: finer, and only where this class is ahead of its rivals."

RIVALS = "what speaks for the class more than for the ten most probable others"

ADDRESS_FORM = """
<form class="address" data-address>
  <input type="url" name="picture" aria-label="Address of a picture"
    placeholder="or the address of a picture" inputmode="url" autocomplete="off" spellcheck="false">
  <button type="submit" class="action">Open</button>
</form>
"""

AGAINST = "What speaks for the class more than for this one."

NO_OTHER = "No other class"

SETTINGS_BUTTON = """
<button type="button" class="action unfold" data-unfolds aria-expanded="false">
  Class, models, view and map
</button>
"""

OWN_TOP = "Each network's top class"

NO_PHOTO = "Drop, paste or take a photo, or choose an example, to see where the networks look."

NO_MODEL = "Choose at least one model."
