"""Media player: what plays in the car."""

from dataclasses import dataclass
from typing import Final, override

from homeassistant.components.media_player import MediaPlayerEntity, MediaPlayerEntityDescription
from homeassistant.components.media_player.const import (
    MediaPlayerDeviceClass,
    MediaPlayerEntityFeature,
    MediaPlayerState,
    MediaType,
)
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .catalogue.media import MEDIA_SOURCES
from .control_entity import ControlDescription, Order, VehicleControl, async_setup_vehicle_controls
from .controls.groups import ControlGroup
from .coordinators.vehicle import VehicleData
from .runtime import TeslaFiConfigEntry
from .tesla.snapshot import MediaInfo

PARALLEL_UPDATES = 0
LOUDEST: Final = 11.0
STEP: Final = 1 / 3
STATES: Final = {
    "Playing": MediaPlayerState.PLAYING,
    "Paused": MediaPlayerState.PAUSED,
    "Stopped": MediaPlayerState.IDLE,
}
CHANGING_TRACK: Final = "changing track"
STATUS: Final = "vehicle_state.media_info.media_playback_status"


@dataclass(frozen=True, kw_only=True)
class VehicleMediaDescription(MediaPlayerEntityDescription, ControlDescription[VehicleData]):
    """A media player, whose `value_fn` returns what the car says about it."""


PLAYERS: Final = (
    VehicleMediaDescription(
        key="media",
        groups=(ControlGroup.MEDIA,),
        device_class=MediaPlayerDeviceClass.SPEAKER,
        paths=("vehicle_state.media_info",),
        value_fn=lambda data: data.snapshot.vehicle_state.media_info,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant, entry: TeslaFiConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the media players of the cars that may be controlled."""
    async_setup_vehicle_controls(hass, entry, Platform.MEDIA_PLAYER, async_add_entities, PLAYERS, VehicleMedia)


class VehicleMedia(VehicleControl, MediaPlayerEntity):
    """What plays in a car."""

    _attr_media_content_type = MediaType.MUSIC
    _attr_supported_features = (
        MediaPlayerEntityFeature.PLAY
        | MediaPlayerEntityFeature.PAUSE
        | MediaPlayerEntityFeature.NEXT_TRACK
        | MediaPlayerEntityFeature.PREVIOUS_TRACK
        | MediaPlayerEntityFeature.VOLUME_SET
        | MediaPlayerEntityFeature.VOLUME_STEP
    )

    @property
    @override
    def state(self) -> MediaPlayerState | None:
        """What it does; changing the track while that is under way."""
        return MediaPlayerState.BUFFERING if self._under_way else self._attr_state

    def _show(self, value: MediaInfo) -> None:
        self._attr_state = STATES.get(value.media_playback_status or "", MediaPlayerState.IDLE)
        self._loudest = value.audio_volume_max or LOUDEST
        self._attr_volume_level = None if value.audio_volume is None else value.audio_volume / self._loudest
        self._attr_volume_step = (value.audio_volume_increment or STEP) / self._loudest
        self._attr_media_title = value.now_playing_title
        self._attr_media_artist = value.now_playing_artist
        self._attr_media_album_name = value.now_playing_album
        self._attr_media_duration = _seconds(value.now_playing_duration)
        self._attr_media_position = _seconds(value.now_playing_elapsed)
        source = value.now_playing_source
        self._attr_source = None if source is None else MEDIA_SOURCES.get(source, source)

    @override
    async def async_set_volume_level(self, volume: float) -> None:
        """Set the volume."""
        wanted = round(volume * self._loudest, 2)
        await self._send(Order("adjust_volume", {"volume": wanted}, {"vehicle_state.media_info.audio_volume": wanted}))

    @override
    async def async_media_play(self) -> None:
        """Play; what plays already goes on."""
        if self._attr_state is not MediaPlayerState.PLAYING:
            await self._send(Order("media_toggle_playback", {}, {STATUS: "Playing"}))

    @override
    async def async_media_pause(self) -> None:
        """Pause what plays."""
        if self._attr_state is MediaPlayerState.PLAYING:
            await self._send(Order("media_toggle_playback", {}, {STATUS: "Paused"}))

    @override
    async def async_media_next_track(self) -> None:
        """Go to the next track."""
        await self._send(Order("media_next_track"), under_way=CHANGING_TRACK)

    @override
    async def async_media_previous_track(self) -> None:
        """Go to the track before."""
        await self._send(Order("media_prev_track"), under_way=CHANGING_TRACK)


def _seconds(milliseconds: float | None) -> int | None:
    return None if milliseconds is None else int(milliseconds / 1000)
