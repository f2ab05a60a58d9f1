"""What a car says of its media player.

What Tesla writes -> what Home Assistant shows. A text that is not listed shows as unknown.
"""

from typing import Final

MEDIA_SOURCES: Final = {
    "0": None,
    "1": "AM",
    "2": "FM",
    "3": "XM",
    "5": "Slacker",
    "6": "Local files",
    "7": "iPod",
    "8": "Bluetooth",
    "9": "Aux",
    "10": "DAB",
    "11": "Rdio",
    "12": "Spotify",
    "13": "Radio",
    "14": "Radio",
    "16": "Media file",
    "17": "TuneIn",
    "18": "Stingray",
    "19": "SiriusXM",
    "20": "Tidal",
    "21": "QQ Music",
    "22": "QQ Music",
    "23": "Ximalaya",
    "24": "Online radio",
    "25": "Online radio",
    "26": "NetEase Music",
    "27": "Apple Music",
    "28": "Browser",
    "29": "Theater",
    "30": "Game",
    "31": "Tutorial",
    "32": "Toybox",
    "33": "Recents and favorites",
    "34": "Home apps",
    "35": "Search",
    "36": "Apple Podcasts",
    "37": "Audible",
    "38": "Amazon Music",
    "39": "YouTube Music",
    "40": "SiriusXM",
    "41": "Yunting",
    "42": "TuneIn",
    "43": "Kugou",
    "44": "Vohico",
}
"""Names of the numbers by which the car tells its media source (its own data model)."""
PLAYBACK_STATES: Final = {"Playing": "playing", "Paused": "paused", "Stopped": "stopped"}
