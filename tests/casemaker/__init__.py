"""Incident folders with known answers, made by a script of their own: `python -m tests.casemaker OUT --seed 1`.

What a packet did is written down here case by case from AWS's documentation; netkit's engines are not asked. So the cases can test them.
"""
