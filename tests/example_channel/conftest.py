"""The example of docs/add-a-channel.md. Its room is tested where it belongs: tests/contracts/test_add_a_channel.py puts it there."""

collect_ignore = ["contoh"]
