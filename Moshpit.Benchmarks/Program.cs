namespace Moshpit.Benchmarks;

internal static class Program
{
    private static void Main() => Console.WriteLine("moshpit benchmarks");
}
