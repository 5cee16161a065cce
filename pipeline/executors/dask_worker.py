"""Dask worker that ends between two batches; it loads nothing but Dask until it trains."""

import asyncio
from typing import Any

from distributed import Worker
from distributed.core import Status

PAUSE = 0.1
"""Seconds between two looks at whether the last batch is done."""


class FinishingWorker(Worker):  # type: ignore[misc]
    """A worker that, at the end of its ``--lifetime``, takes no further batch but finishes the one it trains."""

    async def close_gracefully(self, *arguments: Any, **options: Any) -> None:
        """Ends when what is trained has been fetched; Dask's own worker would have it trained again elsewhere."""
        self.status = Status.paused
        while self.state.executing_count or self.data:
            await asyncio.sleep(PAUSE)
        await super().close_gracefully(*arguments, **options)
