/** The algorithms whose public keys a key access server may offer us. */
export type KasPublicKeyAlgorithm =
  | 'ec:secp256r1'
  | 'ec:secp384r1'
  | 'ec:secp521r1'
  | 'rsa:2048'
  | 'rsa:4096';
