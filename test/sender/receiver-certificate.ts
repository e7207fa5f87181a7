// A self-signed certificate for receiver.example, valid for a hundred years, and its key: for tests on this machine alone.
// openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj /CN=receiver.example
//   -addext subjectAltName=DNS:receiver.example

export const RECEIVER_CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBqjCCAVCgAwIBAgIUU1Yv1vy7J1rInjt/vAbZH3pns3IwCgYIKoZIzj0EAwIw
GzEZMBcGA1UEAwwQcmVjZWl2ZXIuZXhhbXBsZTAgFw0yNjExMjMxNzAwMjBaGA8y
MTI2MTAzMDE3MDAyMFowGzEZMBcGA1UEAwwQcmVjZWl2ZXIuZXhhbXBsZTBZMBMG
ByqGSM49AgEGCCqGSM49AwEHA0IABK+I25HMlOhLs1nRX67NEHcgBrLza1KT5Uzd
+aUxqBB05srkakt5Z3zJZTYBY6XCKQ2VPrmDHI11gTnuOSLy6KOjcDBuMB0GA1Ud
DgQWBBRTCQRIi+gFeRa25NLyjmIlIDIHaDAfBgNVHSMEGDAWgBRTCQRIi+gFeRa2
5NLyjmIlIDIHaDAPBgNVHRMBAf8EBTADAQH/MBsGA1UdEQQUMBKCEHJlY2VpdmVy
LmV4YW1wbGUwCgYIKoZIzj0EAwIDSAAwRQIhAN2nGYvbzxqEGCF9hoVpWOQ/G1IP
chFS8UGmXnjXiDOCAiBl+Q+m4ocotEeKsNuC0b01vHZAXSIldWMY6Elf6bEP8Q==
-----END CERTIFICATE-----`;

export const RECEIVER_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgVD1/K9uK2jgGkIcQ
7/hGK31720GltD7hDnQCnhaP8lihRANCAASviNuRzJToS7NZ0V+uzRB3IAay82tS
k+VM3fmlMagQdObK5GpLeWd8yWU2AWOlwikNlT65gxyNdYE57jki8uij
-----END PRIVATE KEY-----`;
