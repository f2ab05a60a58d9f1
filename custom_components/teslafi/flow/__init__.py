"""The ways through the config flow, one file each; config_flow.py composes them."""
