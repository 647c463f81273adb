"""The pure compiler: ``compile(resources, previous) -> (config per gateway, status per resource)``.

It does no I/O, reads no clock and knows no kopf. The operator, ``ostiary run``, ``ostiary validate`` and the golden
tests all call :func:`ostiary_operator.compile.compiler.compile_resources`. The order of its inputs never changes a byte of its output.
"""
