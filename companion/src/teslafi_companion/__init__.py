"""The companion service of TeslaFi: accounts, two-factor authentication, permits."""
