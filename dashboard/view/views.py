"""The views that are open: one for all tabs that look at the same address."""

from weakref import WeakValueDictionary

from dashboard.address import Address
from dashboard.boards.mirror import Mirror
from dashboard.view.view import View


class Views:
    """Views by what the address says, each for as long as somebody holds it."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._views: WeakValueDictionary[str, View] = WeakValueDictionary()

    def open(self, address: Address) -> View:
        """The view of an address. Who holds it has to listen to its boards, or they are closed."""
        view = self._views.get(address.search)
        if view is None or not view.is_settled or not view.is_listened_to:
            view = self._views[address.search] = View(self._mirror, address)
        return view
