"""Common words that are neither classes of ImageNet nor kinds, and related classes to offer, chosen
by hand where WordNet has nothing near or something odd."""

from __future__ import annotations

from functools import cache

_RELATED = {
    "cock, hen": "chicken, rooster, cockerel",
    "cup, coffee mug, soup bowl": "teacup, coffee cup, saucer",
    "crayfish, American lobster, king crab": "shrimp, shrimps",
    "llama": "alpaca, vicuna",
    "basset, beagle, bloodhound": "dachshund, wiener dog, sausage dog",
    "American Staffordshire terrier, Staffordshire bullterrier": "pitbull",
    "Yorkshire terrier": "yorkie",
    "ballplayer, baseball": "bat, baseball bat, cricket bat",
    "motor scooter, unicycle, tricycle": "skateboard, longboard, hoverboard, segway, e-scooter, "
    "kickboard, rollerblade, roller skate, inline skate",
    "ski, dogsled, snowmobile": "snowboard, sledge",
    "bathing cap, seashore": "surfboard, surfing, surfer, surf",
    "planetarium, radio telescope, space shuttle": "moon, planet, galaxy, comet, satellite, space, "
    "universe, astronaut, spaceship, saturn, mars, milky way",
    "sundial, sunglasses, solar dish": "sun, sunlight",
    "seashore, lakeside, alp": "sky, cloud, landscape, scenery, sunset, sunrise, nature, horizon",
    "umbrella, trench coat, rain barrel": "rain, storm",
    "snowplow, ski, alp": "snow, winter",
    "alp, valley, cliff": "hill, cave, waterfall, desert",
    "lakeside, dam, seashore": "river, sea, ocean, beach, wave, canal, pond, island, water",
    "buckeye, acorn, hip": "tree, leaf, leaves, branch, twig, root, forest, jungle, woods, bush",
    "daisy, yellow lady's slipper, pot": "plant, cactus, palm, bamboo, houseplant, bouquet, garden",
    "hay, barn, rapeseed": "grass, meadow, lawn, farm, field, straw",
    "stove, candle, matchstick": "fire, smoke, flame, fireplace, chimney, campfire, candlelight",
    "triceratops, common iguana": "t-rex, tyrannosaurus, tyrannosaur, dino, jurassic",
    "Komodo dragon, triceratops, sorrel": "dragon, unicorn, pegasus, monster",
    "mask, vestment, cloak": "ghost, zombie, vampire, witch, angel, devil, clown, santa, wizard, "
    "superhero, halloween",
    "sea lion, seashore, dugong": "mermaid",
    "brown bear, lion, tiger": "cub",
    "vacuum, desktop computer": "robot, cyborg, android",
    "cash machine, wallet, piggy bank": "money, cash, coin, banknote, dollar, euro, bank, credit "
    "card",
    "magnetic compass, street sign": "map, atlas, gps, navigation",
    "street sign, traffic light, parking meter": "street, road, highway, crossroads, stop sign, "
    "city, downtown, town, village, intersection",
    "palace, monastery, dome": "museum, skyscraper, apartment, architecture",
    "bullet train, electric locomotive, passenger car": "subway, metro, underground, railway, "
    "train station",
    "airliner, wing, warplane": "airport, runway, flight, flying",
    "liner, container ship, dock": "cruise ship, cruise-ship, harbour, harbor, port",
    "restaurant, plate, dining table": "meal, breakfast, lunch, dinner, sushi, steak, salad, "
    "omelette, omelet, bacon, sausage, tuna, kebab, bbq, barbecue",
    "carbonara, spaghetti squash": "pasta, noodle, noodles, spaghetti, ramen, lasagna, macaroni",
    "pizza, cheeseburger, French loaf": "cheese, mozzarella",
    "cup, pop bottle, beer glass": "juice, soda, cola, lemonade, smoothie, drink",
    "head cabbage, cucumber, bell pepper": "onion, garlic, lettuce, eggplant, pumpkin, ginger",
    "orange, lemon, fig": "peach, cherry, kiwi, coconut, mango, plum, apricot, melon, papaya",
    "ice cream, chocolate sauce": "yogurt, yoghurt, chocolate, candy, sweets",
    "corn, bakery, confectionery": "popcorn, snack, chips, crisps, peanut, peanuts, nuts",
    "wig, sunglasses, face powder": "face, smile, selfie, portrait, skin, tattoo, beard, "
    "moustache, mustache, hair, eye, nose",
    "lipstick, harmonica": "mouth, lip, lips, tooth, teeth, tongue",
    "running shoe, sock, knee pad": "foot, feet, leg, knee, toe",
    "digital watch, mitten, Band Aid": "hand, hands, finger, fist, thumb, arm",
    "groom, gown": "wedding, bride, marriage",
    "abaya, gown, bow tie": "fashion, hijab, burqa",
    "crutch, neck brace, stethoscope": "hospital, x-ray, clinic",
    "jigsaw puzzle, crossword puzzle": "chess, board game, game, dice, card game, cards",
    "soccer ball, football helmet, rugby ball": "football, soccer, american football, stadium",
    "racket, tennis ball": "tennis, badminton",
    "sweatshirt, cardigan (garment), trench coat": "hoodie, tracksuit",
    "pedestal, totem pole, obelisk": "statue, sculpture, monument",
    "pencil box, rubber eraser, paintbrush": "drawing, painting, sketch, art, artwork, crayon",
    "comic book, envelope, menu": "photo, photograph, picture, poster, stamp, magazine, calendar, "
    "newspaper, letter, document, page, text",
    "microwave, stove, refrigerator": "kitchen, countertop",
    "quilt, four-poster, wardrobe": "bedroom, bedclothes",
    "studio couch, television, bookcase": "living room, livingroom",
    "desk, desktop computer, file": "office, workplace, classroom",
    "bannister, sliding door, window screen": "stairs, stair, staircase, floor, ceiling",
    "screwdriver, hammer, power drill": "wrench, spanner, pliers, toolbox",
    "switch, radio, desktop computer": "battery, cable, charger, wire, electronics, socket",
    "carousel, theater curtain, swing": "circus, zoo, playground, amusement park, ferris wheel",
    "theater curtain, stage": "concert, theater, theatre, opera",
    "torch, space shuttle, missile": "fireworks, firework, lightning, explosion",
    "lotion, hair spray, bath towel": "shampoo, toothpaste, cosmetics, makeup",
    "knot, chain": "rope, string, cord",
    "theater curtain, mask, cowboy hat": "crown, tiara, costume",
    "barometer, stopwatch, scale": "thermometer, temperature",
    "buckle, safety pin, hook": "zip, zipper, fastener, pin",
    "caldron, wok, frying pan": "cooking, chef, cook",
    "spotlight, table lamp, torch": "neon, lamp post, streetlight, bulb",
    "home theater, television, cinema": "video, movie, film",
    "tank, rifle, military uniform": "war, army, bomb",
    "yawl, trimaran, schooner": "sailing, regatta",
    "bookshop, library, bookcase": "book, books, reading",
}
"""Class names, and the words for which they are offered."""


@cache
def _by_word() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for classes, words in _RELATED.items():
        for word in (words or "").split(", "):
            found.setdefault(word, tuple(classes.split(", ")))
    return found


def related_words() -> tuple[str, ...]:
    """All words that have related classes."""
    return tuple(_by_word())


def related_names(words: tuple[str, ...]) -> tuple[str, ...]:
    """Names of classes related to the first of these words that has any. words: in lower case."""
    return next(filter(None, (_by_word().get(word) for word in words)), ())
