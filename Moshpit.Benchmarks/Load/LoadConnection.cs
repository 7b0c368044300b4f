using System.Net.Sockets;

namespace Moshpit.Benchmarks.Load;

/// <summary>A connection to the server under load.</summary>
/// <param name="Socket">Its socket, which does not block.</param>
/// <param name="Tls">The TLS on it; null: none.</param>
internal readonly record struct LoadConnection(Socket Socket, TlsChannel? Tls);
