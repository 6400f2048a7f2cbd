"""The algorithms of a key access server, as the policy service names and numbers them."""

kas_algorithms = {
    "rsa:2048": 1,
    "rsa:4096": 2,
    "ec:secp256r1": 5,
    "ec:secp384r1": 6,
    "ec:secp521r1": 7,
}
