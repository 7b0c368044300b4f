using System.Text;

namespace Moshpit.Tests.Fuzz;

/// <summary>
/// Makes inputs of other inputs: small changes of the bytes, words of the target's language, and pieces of another input.
/// </summary>
internal sealed class Mutator(Random random, string[] dictionary, int maxLength)
{
    private static readonly byte[] Telling = [.. "\0\t\n\r \"%&+,/09:;=[\\]{}"u8, 127, 128, 255];

    private readonly byte[][] _words = [.. dictionary.Select(Encoding.Latin1.GetBytes)];

    /// <summary>A changed copy of <paramref name="input"/>, with something of <paramref name="other"/> in it at times.</summary>
    public byte[] Mutate(byte[] input, byte[] other)
    {
        List<byte> bytes = [.. input];
        int changes = 1 << random.Next(4);
        for (int i = 0; i < changes; i++)
            Change(bytes, other);
        if (bytes.Count > maxLength)
            bytes.RemoveRange(maxLength, bytes.Count - maxLength);
        return [.. bytes];
    }

    private void Change(List<byte> bytes, byte[] other)
    {
        int at = random.Next(bytes.Count + 1);
        int length = Math.Min(bytes.Count - at, random.Next(1, random.Next(4) == 0 ? 64 : 8));
        switch (bytes.Count == 0 ? 4 : random.Next(11))
        {
            case 0 when length > 0:
                bytes[at] ^= (byte)(1 << random.Next(8));
                break;
            case 1 when length > 0:
                bytes[at] = Telling[random.Next(Telling.Length)];
                break;
            case 2 when length > 0:
                bytes[at] = (byte)(bytes[at] + random.Next(-4, 5));
                break;
            case 3:
                bytes.RemoveRange(at, length);
                break;
            case 4 or 5:
                bytes.InsertRange(at, Word());
                break;
            case 6:
                byte[] word = Word();
                bytes.RemoveRange(at, Math.Min(word.Length, bytes.Count - at));
                bytes.InsertRange(at, word);
                break;
            case 7:
                Duplicate(bytes, at, length);
                break;
            case 8:
                bytes.RemoveRange(at, bytes.Count - at);
                break;
            case 9 when other.Length > 0:
                int from = random.Next(other.Length);
                bytes.InsertRange(at, other[from..random.Next(from, other.Length + 1)]);
                break;
            case 10:
                bytes.Insert(at, (byte)random.Next(256));
                break;
        }
    }

    /// <summary>Sometimes often: limits are reached by repetition.</summary>
    private void Duplicate(List<byte> bytes, int at, int length)
    {
        byte[] piece = [.. bytes.Skip(at).Take(length)];
        int times = random.Next(8) == 0 ? random.Next(1, 200) : 1;
        for (; times > 0 && bytes.Count < maxLength; times--)
            bytes.InsertRange(at, piece);
    }

    private byte[] Word() => _words[random.Next(_words.Length)];
}
