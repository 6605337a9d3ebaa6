"""The package that yapapi sends to providers: resolve_yapapi.py REGISTRY NAME=VALUE..., vm.repo's arguments"""

import asyncio
import sys

from yapapi.payload import vm


async def main():
    package = await vm.repo(repository_url=sys.argv[1], **dict(argument.split("=", 1) for argument in sys.argv[2:]))
    print(await package.resolve_url())


asyncio.run(main())
