"""What all processes of a job agree on."""

from sweeps.job import PORTS, master_port


def test_a_job_has_another_port_when_it_is_started_again() -> None:
    first, again = master_port("17_3", None), master_port("17_3", "1")
    assert first == master_port("17_3", "0") != again
    assert {first, again} <= set(PORTS)
    # Of ports that Linux does not give to connections: 32768 and up.
    assert max(PORTS) < 32_768
    assert len({master_port(str(job), None) for job in range(1000)}) > 950
