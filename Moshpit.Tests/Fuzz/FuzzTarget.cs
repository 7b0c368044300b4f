using System.Numerics;

namespace Moshpit.Tests.Fuzz;

/// <summary>Code that takes bytes from strangers, and what must hold whatever they are.</summary>
internal abstract class FuzzTarget
{
    /// <summary>The folder of its corpus.</summary>
    public abstract string Name { get; }

    /// <summary>Words of its language.</summary>
    public abstract string[] Dictionary { get; }

    /// <summary>Longer inputs are not tried.</summary>
    public virtual int MaxLength => 16 * 1024;

    /// <summary>Bytes that <see cref="Probe"/> may allocate for each byte of input, besides <see cref="FuzzRun.FreeBytes"/>.</summary>
    public abstract int AllocationFactor { get; }

    /// <summary>
    /// Arrays are counted in <see cref="Check"/>, which cuts the input, and not in <see cref="Probe"/>. Not where a check asks the
    /// runtime's JSON reader, which forgets an array when it throws because of half a surrogate pair.
    /// </summary>
    public virtual bool CountsArraysInCheck => false;

    public static FuzzTarget Find(string name) => All().Single(target => target.Name == name);

    public static FuzzTarget[] All() =>
    [
        new RequestTarget(), new ChunkedTarget(), new JsonBodyTarget(), new FormBodyTarget(),
        new EventStreamTarget(), new ResponseTarget(), new ClientJsonTarget(),
    ];

    /// <summary>
    /// Throws where an invariant is broken. Otherwise says what was observed, a line for each: an input that shows something new is kept.
    /// </summary>
    public abstract string Check(byte[] input);

    /// <summary>Nothing but the code under test, to be measured.</summary>
    public abstract void Probe(byte[] input);

    /// <summary>Called by reflection in the instrumented copy of this assembly, whose types are strangers to the original's.</summary>
    internal static Func<byte[], string> CheckOf(string name) => Find(name).Check;

    /// <inheritdoc cref="CheckOf"/>
    internal static Action<byte[]> ProbeOf(string name) => Find(name).Probe;

    protected static int Magnitude(long length) => BitOperations.Log2((ulong)length + 1);

    protected static void Require(bool condition, string what)
    {
        if (!condition)
            throw new FuzzException(what);
    }

    protected static void RequireSame<T>(T cut, T whole, string how)
    {
        if (!EqualityComparer<T>.Default.Equals(cut, whole))
            throw new FuzzException($"{how}: {cut}\nwhole: {whole}");
    }
}
