"""The package that yapapi sends to providers: resolve_yapapi.py REGISTRY image_tag|image_hash VALUE"""

import asyncio
import sys

from yapapi.payload import vm


async def main():
    package = await vm.repo(repository_url=sys.argv[1], **{sys.argv[2]: sys.argv[3]})
    print(await package.resolve_url())


asyncio.run(main())
